/* tests/report/made.h -- run directories made by hand. */
#ifndef TESTS_REPORT_MADE_H
#define TESTS_REPORT_MADE_H

#include "report/report_impl.h"
#include "tests/store/scratch.h"

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

/* Ten rows of training and of evaluation. */
MADE_FN void
made_metrics (const struct made *m, const char *dir)
{
  struct text t;
  text_init (&t);
  text_add (&t, "step,epoch,split");
  for (int k = 0; k < m->K; k++)
    text_add (&t, ",head%d_loss,head%d_accuracy", k, k);
  text_add (&t, ",lr,seconds,samples_per_s\n");
  for (int i = 1; i <= 10; i++)
    for (int s = 0; s < 2; s++) {
      text_add (&t, "%d,%.3f,%s", 10 * i, 0.1 * i, s ? "valid" : "train");
      for (int k = 0; k < m->K; k++)
        text_add (&t, ",%.6f,%.6f", 3.0 / i + 0.1 * k,
                  m->top * i / 10 * (k + 1) / m->K);
      text_add (&t, ",0.1,%.6f,\n", m->pace * 10 * i);
    }
  made_put (dir, "metrics.csv", t.data);
  text_clear (&t);
}

MADE_FN void
made_run (const struct made *m, char dir[512])
{
  snprintf (dir, 512, "%s/%s", scratch_folder, m->name);
  mkdir (dir, 0777);
  made_config (m, dir);
  made_metrics (m, dir);
  made_put (dir, "events.jsonl",
            "{\"event\":\"start\",\"time\":1,\"step\":0,\"threads\":1,"
            "\"ranks\":2,\"processor\":\"p\"}\n"
            "{\"event\":\"finished\",\"time\":9,\"step\":100,\"code\":0}\n");
  made_put (dir, "facts.ini",
            "[facts]\ndata = 0123456789abcdef\npipe = 2\n"
            "useful_flops = 1000000000\nexecuted_flops = 1250000000\n"
            "cycle_s = 0.02\nbusy_s = 0.015 0.012\n[measured]\n"
            "peak_bytes = 2000000\npeak_bytes_all = 3000000\n");
  made_put (dir, "summary.csv",
            "rank,plain,extra,heads,wait,exposed,data,eval,other,wall\n"
            "0,1,0.5,0.25,0.2,0.05,0.01,1,1,4.01\n"
            "1,1,0.5,0.25,0.2,0.05,0.01,1,1,4.01\n");
}

#endif
