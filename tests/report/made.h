/* tests/report/made.h -- run directories made by hand. */
#ifndef TESTS_REPORT_MADE_H
#define TESTS_REPORT_MADE_H

#include "report/report_impl.h"
#include "tests/scratch.h"

#define MADE_FN static inline __attribute__ ((unused))

struct made {
  const char *name, *span, *head, *lr;
  int seed, K;
  double top;  /* accuracy towards which it goes */
  double pace; /* seconds of a step */
};

MADE_FN void
made_put (const char *dir, const char *name, const char *text)
{
  char path[1024];
  snprintf (path, sizeof path, "%s/%s", dir, name);
  FILE *f = fopen (path, "w");
  if (f) {
    fputs (text, f);
    fclose (f);
  }
}

MADE_FN void
made_config (const struct made *m, const char *dir)
{
  char text[2048];
  snprintf (text, sizeof text,
            "; made\n[model]\nfamily = resnet\npreset = resnet20\n[stages]\n"
            "count = %d\nhead = %s\n[strategy]\nspan = %s\nmix = furthest\n"
            "[data]\nfile = d.h5\n[train]\nbatch = 64\nsteps = 100\nseed = %d\n"
            "lr = %s\n",
            m->K, m->head, m->span, m->seed, m->lr);
  made_put (dir, "config.ini", text);
}

/* Ten rows of training and of evaluation; with agreement, rows of it between
 * them (cosine 0.1 at the first, rising by 0.01 and with the stage by 0.1; norm
 * ratio 2), and one of a split that nobody knows, all of which have times that
 * would disturb. */
MADE_FN void
made_metrics (const struct made *m, const char *dir, bool agreement)
{
  struct text t;
  text_init (&t);
  text_add (&t, "step,epoch,split");
  for (int k = 0; k < m->K; k++)
    text_add (&t, ",head%d_loss,head%d_accuracy", k, k);
  text_add (&t, ",lr,seconds,samples_per_s");
  for (int k = 0; k < m->K && agreement; k++)
    text_add (&t, ",stage%d_cosine,stage%d_norm_ratio", k, k);
  text_add (&t, "\n");
  for (int i = 1; i <= 10; i++)
    for (int s = 0; s < (agreement ? 4 : 2); s++) {
      static const char *const split[] = {"train", "valid", "agreement",
                                          "mystery"};
      text_add (&t, "%d,%.3f,%s", 10 * i + 100 * (s == 3), 0.1 * i, split[s]);
      for (int k = 0; k < m->K; k++)
        if (s == 2)
          text_add (&t, ",,");
        else
          text_add (&t, ",%.6f,%.6f", 3.0 / i + 0.1 * k,
                    m->top * i / 10 * (k + 1) / m->K);
      text_add (&t, ",0.1,%.6f,", m->pace * 10 * i * (s > 1 ? 7 : 1));
      for (int k = 0; k < m->K && agreement; k++)
        if (s == 2)
          text_add (&t, ",%.3f,2", 0.1 + 0.01 * (i - 1) + 0.1 * k);
        else
          text_add (&t, ",,");
      text_add (&t, "\n");
    }
  made_put (dir, "metrics.csv", t.data);
  text_clear (&t);
}

/* The same of a language model: bits per byte of the output fall by 0.1 a row
 * to top, those of head k lie 0.25 higher for each stage behind it, those of
 * training 1 higher; accuracies are the same throughout.  bits: else those are
 * empty, as where nobody knows the bytes. */
MADE_FN void
made_language (const struct made *m, const char *dir, bool bits)
{
  struct text t;
  text_init (&t);
  text_add (&t, "step,epoch,split");
  for (int k = 0; k < m->K; k++)
    text_add (&t,
              ",head%d_loss,head%d_accuracy,head%d_perplexity,"
              "head%d_bits_per_byte",
              k, k, k, k);
  text_add (&t, ",lr,seconds,samples_per_s\n");
  for (int i = 1; i <= 10; i++)
    for (int s = 0; s < 2; s++) {
      text_add (&t, "%d,%.3f,%s", 10 * i, 0.1 * i, s ? "valid" : "train");
      for (int k = 0; k < m->K; k++) {
        double v = m->top + 0.1 * (10 - i) + 0.25 * (m->K - 1 - k) + !s;
        text_add (&t, ",%.9g,0.25,%.9g,", v * log (2), pow (2, v));
        text_add (&t, bits ? "%.9g" : "", v);
      }
      text_add (&t, ",0.1,%.6f,\n", m->pace * 10 * i);
    }
  made_put (dir, "metrics.csv", t.data);
  text_clear (&t);
}

/* A probe's files in dir/probe: accuracy 0.1 for side 0 and 0.2 more for each
 * further one, and 0.01 for each stage; effective rank 2 + side + stage;
 * participation ratio half of it; CKA 1 / (1 + distance), between stage i of a
 * side and j of a later one 1 / (2 + 3 i + j).  bits: bits per token are 5 -
 * stage, else empty. */
MADE_FN void
made_probe (const char *dir, const char *name, int sides,
            const char *const *path, int step, int K, bool bits)
{
  char file[1024];
  struct text t;
  snprintf (file, sizeof file, "%s/probe", dir);
  mkdir (file, 0777);
  text_init (&t);
  text_add (&t, "side,checkpoint,step,stage,behind,features,samples,accuracy,"
                "bits_per_token,rank,effective_rank,participation_ratio\n");
  for (int s = 0; s < sides; s++)
    for (int k = 0; k < K; k++) {
      text_add (&t, "%d,\"%s\",%d,%d,\"b\",16,320,%.4f,", s, path[s], step, k,
                0.1 + 0.2 * s + 0.01 * k);
      text_add (&t, bits ? "%d" : "", 5 - k);
      text_add (&t, ",7,%d,%.1f\n", 2 + s + k, (2 + s + k) / 2.0);
    }
  snprintf (file, sizeof file, "probe/%s-stages.csv", name);
  made_put (dir, file, t.data);
  text_clear (&t);
  text_init (&t);
  text_add (&t, "side,stage,other_side,other_stage,cka\n");
  for (int i = 0; i < sides * K; i++)
    for (int j = 0; j < sides * K; j++)
      text_add (&t, "%d,%d,%d,%d,%.9g\n", i / K, i % K, j / K, j % K,
                i / K == j / K  ? 1.0 / (1 + abs (i - j))
                : i / K < j / K ? 1.0 / (2 + 3 * (i % K) + j % K)
                                : 1.0 / (2 + 3 * (j % K) + i % K));
  snprintf (file, sizeof file, "probe/%s-cka.csv", name);
  made_put (dir, file, t.data);
  text_clear (&t);
}

MADE_FN void
made_run (const struct made *m, char dir[512])
{
  snprintf (dir, 512, "%s/%s", scratch_folder, m->name);
  mkdir (dir, 0777);
  made_config (m, dir);
  made_metrics (m, dir, false);
  made_put (dir, "events.jsonl",
            "{\"event\":\"start\",\"time\":1,\"step\":0,\"threads\":1,"
            "\"ranks\":2,\"processor\":\"p\"}\n"
            "{\"event\":\"finished\",\"time\":9,\"step\":100,\"code\":0}\n");
  made_put (dir, "facts.ini",
            "[facts]\ndata = 0123456789abcdef\nsteps = 100\npipe = 2\n"
            "useful_flops = 1000000000\nexecuted_flops = 1250000000\n"
            "cycle_s = 0.02\nbusy_s = 0.015 0.012\n[measured]\n"
            "peak_bytes = 2000000\npeak_bytes_all = 3000000\n");
  made_put (dir, "summary.csv",
            "rank,plain,extra,heads,wait,exposed,data,eval,other,wall\n"
            "0,1,0.5,0.25,0.2,0.05,0.01,1,1,4.01\n"
            "1,1,0.5,0.25,0.2,0.05,0.01,1,1,4.01\n");
}

#endif
