"""Prints pi with Gibbons' spigot: one digit after the other, in whole numbers only."""
import sys


def digits():
    q, r, t, k, n, l = 1, 0, 1, 1, 3, 3
    while True:
        if 4 * q + r - t < n * t:
            yield n
            q, r, n = 10 * q, 10 * (r - n * t), 10 * (3 * q + r) // t - 10 * n
        else:
            q, r, t, k, n, l = q * k, (2 * q + r) * l, t * l, k + 1, (q * (7 * k + 2) + r * l) // (t * l), l + 2


count = int(sys.argv[1])
stream = digits()
print(f"CPython {sys.version.split()[0]} on {sys.platform} counts {count} digits of pi:")
print(next(stream), "".join(str(next(stream)) for _ in range(count - 1)), sep=".")
