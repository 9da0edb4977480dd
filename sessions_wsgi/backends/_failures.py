"""A driver's errors become `BackendError`, in one place."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from sessions_wsgi.errors import BackendError

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Failures:
    """Decorates the methods of one backend: these errors leave them as `BackendError`, with the cause."""

    def __init__(self, backend: str, *errors: type[Exception]) -> None:
        self._backend, self._errors = backend, errors

    def __call__(self, operation: str) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
        """`operation` is the verb that the message shows."""

        def decorate(method: Callable[_P, _T]) -> Callable[_P, _T]:
            @functools.wraps(method)
            def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
                try:
                    return method(*args, **kwargs)
                except self._errors as error:
                    raise BackendError(self._backend, operation) from error

            return call

        return decorate
