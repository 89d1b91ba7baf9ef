# tests/probe/golden.py FILE -- linear probes, spectra and CKA once more, with
# NumPy, from values that tests/probe/study wrote, against what it found.
#
# Independent of the program: ridge by solving the primal equations with
# numpy.linalg.solve, spectra by singular values, CKA by the formula of
# Kornblith et al. (2019) on centred Gram matrices of the samples.
# Exit status 0: equal to 1e-5; 1: not; 77: no NumPy.
import sys

try:
    import numpy as np
except ImportError:
    sys.exit(77)

words = iter(open(sys.argv[1]).read().split())


def number():
    return float(next(words))


def count():
    return int(next(words))


def array(*shape):
    n = int(np.prod(shape))
    return np.array([number() for _ in range(n)]).reshape(shape)


n, n_fit, n_choose, classes, views = (count() for _ in range(5))
label = array(n).astype(int)
worst = 0.0
x = []


def compare(what, got, want):
    global worst
    off = abs(got - want) / max(abs(want), 1e-12)
    worst = max(worst, off)
    if not off <= 1e-5:
        print("%s: %.9g, and NumPy has %.9g" % (what, got, want))


for v in range(views):
    width, relative, chosen, judged, error, effective, participation, trace = (
        number() for _ in range(8))
    f = array(n, int(width))
    x.append(f - f.mean(axis=0))

    def accuracy(fit, rows):
        a = f[:fit]
        t = np.eye(classes)[label[:fit]]
        c = a - a.mean(axis=0)
        g = c.T @ c
        lam = relative * np.trace(g) / min(fit, g.shape[0])
        w = np.linalg.solve(g + lam * np.eye(len(g)), c.T @ (t - t.mean(axis=0)))
        score = (f[rows] - a.mean(axis=0)) @ w + t.mean(axis=0)
        off = score - np.eye(classes)[label[rows]]
        return (np.mean(score.argmax(axis=1) == label[rows]),
                np.mean(off ** 2))

    both = n_fit + n_choose
    compare("view %d: accuracy" % v, judged, accuracy(both, slice(both, n))[0])
    compare("view %d: squared error" % v, error,
            accuracy(both, slice(both, n))[1])
    compare("view %d: accuracy that chose" % v, chosen,
            accuracy(n_fit, slice(n_fit, both))[0])
    e = np.linalg.svd(x[v], compute_uv=False) ** 2 / (n - 1)
    p = e[e > 0] / e.sum()
    compare("view %d: trace" % v, trace, e.sum())
    compare("view %d: effective rank" % v, effective,
            np.exp(-(p * np.log(p)).sum()))
    compare("view %d: participation" % v, participation,
            e.sum() ** 2 / (e ** 2).sum())

cka = array(views, views)
k = [a @ a.T for a in x]
for i in range(views):
    for j in range(views):
        want = (k[i] * k[j]).sum() / np.sqrt((k[i] ** 2).sum()
                                             * (k[j] ** 2).sum())
        compare("CKA of views %d and %d" % (i, j), cka[i, j], want)
print("largest relative difference from NumPy: %.2e" % worst)
sys.exit(1 if worst > 1e-5 else 0)
