"""What a registry needs of a store: the Protocol that authors of stores implement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from sessions_wsgi.cookies import CookieOptions
from sessions_wsgi.session import Session

#: The second half of a commit; returns what `Store.commit` would.
Finish = Callable[[], "str | None"]


class Store(Protocol):
    """Turns the text of a cookie into a session and back. It sees neither request nor response."""

    @property
    def options(self) -> CookieOptions:
        """The attributes of its cookies."""

    def open(self, name: str, texts: Sequence[str]) -> Session:
        """The session that the first good text holds, or a new one.

        Texts come from outside: a bad one is a new session with `rejected` set. Only `BackendError`
        is raised.
        """

    def commit(self, session: Session) -> str | None:
        """Save the session; the text of its cookie, "" to delete the cookie, None to send nothing.

        A text is printable ASCII without semicolon, not quoted, with no blank at its ends.

        A store with a true attribute `saves_late` is called again when the body is closed, if the session may
        have changed by then: what it returns is not looked at, as the cookie has left.
        """


class Imported(NamedTuple):
    """What an importer read."""

    values: Mapping[Any, Any]
    #: When the session began, or the foreign text was made if only that is known; seconds since the epoch.
    created: float
    #: Category and value of each message.
    flashes: Sequence[tuple[str, Any]] = ()
    #: Who is signed in; nobody, unless the application said how to tell.
    principal: str | None = None
    #: When the visitor was last seen, if that is later than `created`; it counts for the lifetime's `idle`.
    last_seen: float | None = None

    def __repr__(self) -> str:  # data must not reach a traceback
        return f"<Imported, {len(self.values)} keys>"


class Importer(Protocol):
    """Reads the cookies of another library, so that changing to this one logs nobody out.

    An attribute `cookie` names the foreign cookie where its name differs from the session's; an attribute
    `options` holds the `CookieOptions` to delete it with, where they differ from the store's.
    """

    def read(self, text: str, now: float) -> Imported:
        """The session in a foreign text.

        :raises DecodeError: it is not of this format, not authentic, or past its time.
        """


class PreparingStore(Store, Protocol):
    """A store whose commit has two halves, so that several sessions are saved all or none."""

    #: Its sessions have a record on the server: values may still change while the body streams.
    saves_late: bool

    def prepare(self, session: Session) -> Finish | None:
        """Encode, seal and measure; what is returned does the rest of `commit`; None: nothing is left."""

    def changed(self, session: Session) -> bool:
        """Whether its encoded bytes differ from those that are stored, or there is content and none are."""

    def drop(self, session: Session) -> bool:
        """Carry out a `destroy` on the server, and nothing else; False: it had ended before."""
