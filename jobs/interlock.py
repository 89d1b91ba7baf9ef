"""jobs/interlock.py -- question: how does a notebook start runs and read them?

    import interlock                            # this file beside yours
    job = interlock.submit("train.ini", strategy_span=2, run_dir="run-2")
    interlock.wait(job)
    m = interlock.read("run-2", split="valid")
    plt.plot(m["step"], m["head3_accuracy"])
    interlock.load("run-2", net)                # into a torch.nn.Module

Nodes: those of the jobs.  Minutes: theirs.  Output: the run directories.

Not a binding: it reads the files that a run leaves, as interlock(5) describes
them, and starts the program.  Needs Python 3.8, NumPy and h5py, and PyTorch for
load alone.  What goes wrong is raised as interlock.Error, whose text begins with
the file (also in .file); a run that has not finished as interlock.Failed, with
its exit code.
"""
import configparser
import csv
import os
import pathlib
import shutil
import subprocess
import time

import h5py
import numpy as np

__all__ = ["Error", "Failed", "Job", "checkpoint", "load", "read", "status",
           "submit", "wait"]


class Error(Exception):
    """Something is wrong with a file, or cannot be started."""

    def __init__(self, file, text):
        super().__init__(f"{file}: {text}")
        self.file = str(file)


class Failed(Error):
    """A run that has ended without finishing; .code as in interlock(1), 75:
    it was stopped with its state saved, and the same submit goes on."""

    def __init__(self, file, text, code):
        super().__init__(file, text)
        self.code = code


# -- what runs leave -----------------------------------------------------------

def _column(file, name, cells):
    """Numbers as an array, nan where nothing is said; else the texts."""
    if name == "split":
        return np.array(cells, dtype=str)
    try:
        if name == "step":
            return np.array([int(cell) for cell in cells], dtype=np.int64)
        return np.array([float(cell or "nan") for cell in cells])
    except ValueError as e:
        if name.endswith("_digest"):
            return np.array(cells, dtype=str)
        raise Error(file, f"column {name}: {e}") from None


def read(run, split=None):
    """The rows of metrics.csv of a run directory, a dict of arrays by column.

    step is int64, split and digests are text, all else is float64 with nan in
    empty cells.  With split ("train", "valid", "test", ...) only those rows.  A
    run that goes on may be read at any time: a row half written does not count.
    """
    file = pathlib.Path(run) / "metrics.csv"
    try:
        text = file.read_text(encoding="ascii")
    except (OSError, UnicodeError) as e:
        raise Error(file, getattr(e, "strerror", None) or e) from None
    text = text[:text.rfind("\n") + 1]
    rows = list(csv.reader(text.splitlines()))
    if not rows or "step" not in rows[0] or "split" not in rows[0]:
        raise Error(file, "no header with step and split")
    names, rows = rows[0], rows[1:]
    for line, row in enumerate(rows, 2):
        if len(row) != len(names):
            raise Error(f"{file}:{line}",
                        f"{len(row)} cells under {len(names)} columns")
    if split is not None:
        at = names.index("split")
        rows = [row for row in rows if row[at] == split]
    return {name: _column(file, name, [row[i] for row in rows])
            for i, name in enumerate(names)}


def status(run):
    """(word, code, rest) of RUN/status, such as ("finished", 0, "step=160");
    ("", None, "") where there is none yet."""
    try:
        words = (pathlib.Path(run) / "status").read_text().split(None, 2)
    except FileNotFoundError:
        return "", None, ""
    word = words[0] if words else ""
    code = int(words[1]) if len(words) > 1 and words[1].isdigit() else None
    return word, code, words[2].strip() if len(words) > 2 else ""


def checkpoint(run):
    """The newest checkpoint of a run directory, a path.  What bears its final
    name was whole when it was written; `interlock info FILE --check` looks
    whether it still is."""
    folder = pathlib.Path(run) / "checkpoints"
    files = sorted(folder.glob("step-*.h5"),
                   key=lambda file: int(file.stem[len("step-"):]))
    if not files:
        raise Error(folder, "no checkpoint")
    return files[-1]


def _tensors(file, path):
    """All tensors below a group of an HDF5 file, by name."""
    try:
        with h5py.File(file, "r") as f:
            if path not in f:
                raise Error(file, f"has no {path}")
            found = {}
            f[path].visititems(
                lambda name, item: found.update({name: item[()]})
                if isinstance(item, h5py.Dataset) else None)
            return found
    except OSError as e:
        raise Error(file, e) from None


def load(file, model, head=None, strict=True):
    """Puts the parameters and BatchNorm statistics of a checkpoint into model, a
    torch.nn.Module whose state_dict has the same names and shapes; returns it.

    file is a checkpoint, a bare parameter file, or a run directory, of which the
    newest checkpoint is taken.  With head = H it is the head behind stage H, into
    an nn.Sequential of its words.  A name that only one of both has, or a shape
    that differs, is an Error, and nothing has been changed; with strict = False
    names of one side are passed over.  (num_batches_tracked, which PyTorch
    counts and interlock does not, stays as it is.)
    """
    import torch

    if os.path.isdir(file):
        file = checkpoint(file)
    found = _tensors(file, "model" if head is None else f"heads/{head}")
    own = model.state_dict()
    wrong = [f"{name}: {found[name].shape} here, {tuple(own[name].shape)} there"
             for name in found
             if name in own and found[name].shape != tuple(own[name].shape)]
    if strict:
        wrong += [f"no place for {name}" for name in found if name not in own]
        wrong += [f"nothing for {name}" for name in own
                  if name not in found and
                  not name.endswith("num_batches_tracked")]
    if wrong:
        more = f" and {len(wrong) - 8} more" if len(wrong) > 8 else ""
        raise Error(file, "does not fit the module: " +
                    "; ".join(wrong[:8]) + more)
    model.load_state_dict({name: torch.from_numpy(np.asarray(tensor))
                           for name, tensor in found.items() if name in own},
                          strict=False)
    return model


# -- runs ----------------------------------------------------------------------

class Job:
    """What submit has started: .run, the run directory; .id, of Slurm, or None;
    .process, of mpirun, or None; .output, the file with the messages."""

    def __init__(self, run, output, id=None, process=None):
        self.run, self.output = pathlib.Path(run), output
        self.id, self.process = id, process
        self.before = _stamp(run)

    def __repr__(self):
        what = f"Slurm {self.id}" if self.id else f"process {self.process.pid}"
        return f"<interlock.Job {self.run}: {what}>"


def _stamp(run):
    """Which file RUN/status is: another one after each writing."""
    try:
        s = os.stat(os.path.join(run, "status"))
        return s.st_ino, s.st_mtime_ns
    except OSError:
        return None


def _words(keys):
    """section_key = value as the program's words section.key=value."""
    words = []
    for key, value in keys.items():
        name = key if "." in key else key.replace("_", ".", 1)
        if isinstance(value, bool):
            value = "yes" if value else "no"
        elif isinstance(value, (list, tuple)):
            value = ",".join(map(str, value))
        words.append(f"{name}={value}")
    return words


def _run_directory(config, words):
    """The last run.dir of words, else the configuration's, else "run"."""
    told = [word[len("run.dir="):] for word in words
            if word.startswith("run.dir=")]
    if told:
        return told[-1]
    keys = configparser.ConfigParser(interpolation=None, strict=False,
                                     inline_comment_prefixes=(";",))
    try:
        with open(config, encoding="utf-8") as f:
            keys.read_file(f)
    except OSError as e:
        raise Error(config, e.strerror) from None
    except (configparser.Error, UnicodeError) as e:
        raise Error(config, e) from None
    return keys.get("run", "dir", fallback="run")


def _told(command, environment=None):
    """What a command prints; its failure is an Error with what it said."""
    try:
        done = subprocess.run(command, env=environment, check=True, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True)
    except OSError as e:
        raise Error(command[0], e.strerror) from None
    except subprocess.CalledProcessError as e:
        raise Error(command[0], (e.stderr or e.stdout).strip() or
                    f"exit code {e.returncode}") from None
    return done.stdout.strip()


def _by_slurm(jobs, config, words, ranks, threads, options, environment):
    for word in words:
        if any(c in word for c in " \t\n*?[\\"):
            raise Error(config, f"{word!r}: blanks and *?[\\ do not get through "
                        "sbatch's environment; write it into the configuration")
    environment.update(CONFIG=str(config), WORDS=" ".join(words),
                       JOBS=str(jobs))
    command = ["sbatch", "--parsable"]
    command += [f"--ntasks={ranks}"] if ranks else []
    command += [f"--cpus-per-task={threads}"] if threads else []
    command += [*options, str(jobs / "train.sbatch")]
    id = _told(command, environment).split(";")[0]
    return {"id": id, "output": f"interlock-{id}.out"}


def _by_mpirun(jobs, config, words, ranks, threads, options, environment):
    program = _told(["sh", str(jobs / "program.sh")]).strip()
    ranks = ranks or 1
    threads = threads or max(1, len(os.sched_getaffinity(0)) // ranks)
    kind, launcher = (_told(["sh", str(jobs / "launcher.sh"), program])
                      .split() + [""])[:2]
    if not launcher:
        raise Error(program, f"no mpirun or mpiexec of its MPI, {kind}")
    command = [launcher]
    if kind == "openmpi":
        command += ["--bind-to", "none", "--oversubscribe"]
    command += ["-n", str(ranks), *options, program, "train", str(config)]
    environment["OMP_NUM_THREADS"] = str(threads)
    if os.getuid() == 0:  # mpirun asks for this
        for word in ("OMPI", "PRTE"):
            environment[f"{word}_ALLOW_RUN_AS_ROOT"] = "1"
            environment[f"{word}_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
    run = _run_directory(config, words)
    output = f"{os.path.normpath(run)}.out"
    os.makedirs(os.path.dirname(output) or ".", exist_ok=True)
    with open(output, "ab") as f:
        process = subprocess.Popen(command + words, env=environment, stdout=f,
                                   stderr=f, stdin=subprocess.DEVNULL,
                                   start_new_session=True)
    return {"process": process, "output": output}


def submit(config, *, ranks=None, threads=None, options=(), by=None, **keys):
    """Starts `interlock train config` and returns a Job, at once.

    keys are those of the configuration, section and key joined by "_":
    strategy_span=2, train_weight_decay=1e-4, run_dir="run-2"; or as they are,
    **{"train.init.fresh": "fc"}.  Lists are joined by commas, True is yes.

    by is "sbatch" or "mpirun", by default sbatch where there is one.  sbatch
    takes jobs/train.sbatch, which gets a run to its end through time limits and
    preemption; options are more words for it, such as ["-t", "240"], ranks and
    threads (of a rank) are by default what the script says.  With mpirun options
    are its own, ranks is 1 and threads share the cores.  Paths count from the
    working directory.  This file has to lie in jobs/, where the scripts are.
    """
    jobs = pathlib.Path(__file__).resolve().parent
    if not (jobs / "train.sbatch").is_file():
        raise Error(jobs / "train.sbatch", "is not there; import interlock.py "
                    "from the jobs/ that it came with")
    if not os.path.isfile(config):
        raise Error(config, "no such configuration")
    if by is None:
        by = "sbatch" if shutil.which("sbatch") else "mpirun"
    start = {"sbatch": _by_slurm, "mpirun": _by_mpirun}.get(by)
    if start is None:
        raise Error(config, f"by is {by!r}, neither 'sbatch' nor 'mpirun'")
    words = _words(keys)
    job = Job(_run_directory(config, words), None)
    for name, value in start(jobs, config, words, ranks, threads, options,
                             dict(os.environ)).items():
        setattr(job, name, value)
    return job


def _in_queue(id):
    """Whether Slurm has the job still; yes where it does not answer."""
    done = subprocess.run(["squeue", "-h", "-j", id, "-o", "%T"], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        return "Invalid job id" not in done.stderr
    return bool(done.stdout.strip())


def _goes_on(job):
    return job.process.poll() is None if job.process else _in_queue(job.id)


def _last_words(job):
    """What the program said, not what a launcher says after it."""
    try:
        text = pathlib.Path(job.output).read_text(errors="replace")
    except OSError:
        return f"no {job.output}"
    lines = text.splitlines()
    ours = [line for line in lines if line.startswith("interlock: ")]
    return "\n".join((ours or lines)[-5:])


def wait(job, every=None, timeout=None):
    """Waits until a job of submit has ended; returns its run directory, a path.

    Looks every so many seconds (30 with Slurm, else 0.2).  A run that has not
    finished is raised as Failed, with the last words of its messages; after
    timeout seconds TimeoutError is raised, and the job goes on.
    """
    every = every or (0.2 if job.process else 30)
    end = None if timeout is None else time.monotonic() + timeout
    while _goes_on(job):
        if end is not None and time.monotonic() > end:
            raise TimeoutError(f"{job.run}: goes on after {timeout} s")
        time.sleep(every)
    word, code, rest = status(job.run)
    if _stamp(job.run) == job.before:
        word, code, rest = "", None, ""
    if word == "finished":
        return job.run
    if word not in ("failed", "stopped"):
        code = job.process.returncode if job.process else None
    said = f"{word} {rest}".strip() or "no status of this start"
    raise Failed(job.run, f"{said} (code {code}); {job.output}:\n"
                 f"{_last_words(job)}", code)
