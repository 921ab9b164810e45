"""How attackers poison training data, for benchmarks and tests: one attack per file."""

from undoor_bench.attacks.attack import Attack, Role

__all__ = ["Attack", "Role"]
