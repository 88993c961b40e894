"""Functions that only compiled code calls: linked into entries, nothing that Python could call."""

import numba
import pytest

from lava_async._kernel import _cache
from lava_async._kernel._compiler import alone, call, inline, jit


@jit
def half(x):
    if x % 2:
        raise ValueError("odd number", x)
    return x // 2


@jit
def inverse(x):
    if x == 0:
        raise ZeroDivisionError("no inverse")
    return 1 / x


@inline
def quarter(x):
    return half(half(x))


@alone
def add(x, y):
    return x + y


@numba.njit
def eighth(x):
    return call(add, (half(quarter(x)), 0))


def test_entries_call_them():
    assert eighth(24) == 3


@pytest.mark.parametrize("function", [half, quarter, add])
def test_python_does_not(function):
    eighth(24)
    with pytest.raises(TypeError, match="not callable"):
        function(*[2] * function.py_func.__code__.co_argcount)


@pytest.mark.parametrize("function", [half, quarter, add])
def test_no_code_is_made_for_that(function):
    eighth(24)
    for compiled in function.overloads.values():
        code = compiled.library.get_llvm_str()
        assert compiled.fndesc.mangled_name in code
        assert compiled.fndesc.llvm_cpython_wrapper_name not in code
        assert compiled.fndesc.llvm_cfunc_wrapper_name not in code
        engine = compiled.library.codegen._engine  # which has the instructions of what is loaded
        assert not engine.is_symbol_defined(compiled.fndesc.mangled_name)


def test_errors_of_theirs_are_raised():
    with pytest.raises(ZeroDivisionError, match="no inverse"):
        numba.njit(lambda x: inverse(x))(0)


@pytest.mark.parametrize("start", ["compiled", "loaded"])
def test_entries_on_disk_know_the_values_in_errors(start, tmp_path, monkeypatch):
    monkeypatch.setattr(_cache, "folders", lambda: [(tmp_path, False)])

    def fourth(x):
        return quarter(x)

    for _ in range(1 + (start == "loaded")):
        found = _cache.cached("digest")(fourth)
        with pytest.raises(ValueError) as failed:
            found(6)
    assert failed.value.args == ("odd number", 3)
    assert found._cache_hits.total() == (start == "loaded")
