# tests/probe/golden_token.py FILE -- bits per token once more, with NumPy, from
# values that tests/probe/token wrote, against what it found.
#
# Independent of the program: classes by a stable sort of the counts, ridge by
# numpy.linalg.solve, probabilities by the formula of interlock(1).
# Exit status 0: equal to 1e-5; 1: not; 77: no NumPy.
import sys

try:
    import numpy as np
except ImportError:
    sys.exit(77)

words = iter(open(sys.argv[1]).read().split())


def number():
    return float(next(words))


def array(*shape):
    n = int(np.prod(shape))
    return np.array([number() for _ in range(n)]).reshape(shape)


n, n_fit, n_choose, vocabulary, most, views = (int(number()) for _ in range(6))
token = array(n).astype(int)

# The most frequent tokens of the samples that fit, of equals the lower.
count = np.bincount(token[:n_fit], minlength=vocabulary)
order = np.argsort(-count, kind="stable")[:most - 1]
order = order[count[order] > 0]
of = np.full(vocabulary, len(order))
of[order] = np.arange(len(order))
others = of == len(order)
q = np.where(others, (count + 1) / (count + 1)[others].sum(), 1)
label = of[token]
classes = len(order) + 1

both = n_fit + n_choose
worst = 0.0
for v in range(views):
    width, relative, a, bits, unigram = (number() for _ in range(5))
    f = array(n, int(width))
    t = np.eye(classes)[label]
    mean, share = f[:both].mean(axis=0), t[:both].mean(axis=0)
    c = f[:both] - mean
    g = c.T @ c
    lam = relative * np.trace(g) / min(both, g.shape[0])
    w = np.linalg.solve(g + lam * np.eye(len(g)), c.T @ (t[:both] - share))
    s = np.maximum((f[both:] - mean) @ w + share, 0)
    u = (t[:both].sum(axis=0) + 1) / (both + classes)
    s = np.where(s.sum(axis=1, keepdims=True) > 0,
                 s / s.sum(axis=1, keepdims=True), u)
    for name, got, p in (("bits per token", bits, (1 - a) * s + a * u),
                         ("bits of frequencies", unigram,
                          np.broadcast_to(u, s.shape))):
        own = p[np.arange(n - both), label[both:]] * q[token[both:]]
        want = -np.log2(own).mean()
        off = abs(got - want) / want
        worst = max(worst, off)
        if not off <= 1e-5:
            print("view %d: %s: %.9g, and NumPy has %.9g"
                  % (v, name, got, want))
print("largest relative difference from NumPy: %.2e" % worst)
sys.exit(1 if worst > 1e-5 else 0)
