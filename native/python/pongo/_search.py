"""search: the children of a container whose value at a path satisfies a comparison, all judged in one version."""

from . import _errors as errors
from ._compare import order, same


def _ordered(accept):
    def test(found, wanted):
        difference = order(found, wanted)
        return difference is not None and accept(difference)

    return test


_tests = {
    '==': same,
    '!=': lambda found, wanted: not same(found, wanted),
    '<': _ordered(lambda difference: difference < 0),
    '<=': _ordered(lambda difference: difference <= 0),
    '>': _ordered(lambda difference: difference > 0),
    '>=': _ordered(lambda difference: difference >= 0),
}
_tests.update(zip(('eq', 'ne', 'lt', 'le', 'gt', 'ge'), tuple(_tests.values())))

_absent = object()


def _is_container(value):
    return hasattr(type(value), '_page')


def _children(container):
    return container.copy() if not hasattr(container, 'values') else container.values()


def _matches(child, path, test, wanted):
    if not path:
        return test(child.native() if _is_container(child) and not _is_container(wanted) else child, wanted)
    if not _is_container(child):
        return False
    if path[0] == '*':
        return any(_matches(item, path[1:], test, wanted) for item in _children(child))
    if hasattr(child, 'get'):
        found = child.get([path[0]], _absent)
    else:
        try:
            found = child[int(path[0])] if int(path[0]) >= 0 else _absent
        except (TypeError, ValueError, IndexError):
            found = _absent
    return found is not _absent and _matches(found, path[1:], test, wanted)


def search(container, path, relop, value):
    test = _tests.get(relop) if isinstance(relop, str) else None
    if test is None:
        raise errors.ArgError(f'unknown relop {relop!r}: known are {" ".join(_tests)}')
    if isinstance(path, str):
        path = path.split('.') if path else []
    elif not isinstance(path, (list, tuple)):
        raise errors.TypeError(f'the path must be a str or a list, not {type(path).__name__}')
    path = list(path)
    handle = container._handle
    if container._snapshot is not None or handle.in_transaction():
        return {key: child for key, child in container.items() if _matches(child, path, test, value)}
    snapshot = handle.snapshot()
    try:
        judged = snapshot.container(container._kind, container.id).items()
        keys = [key for key, child in judged if _matches(child, path, test, value)]
    finally:
        snapshot.release()
    # What is returned is live: as it is now, and what has gone meanwhile is left out.
    live = ((key, container.get([key], _absent)) for key in keys)
    return {key: child for key, child in live if child is not _absent}
