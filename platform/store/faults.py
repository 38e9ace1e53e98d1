"""What drivers raise when the database cannot be had, as the one error that users see."""

import sqlite3

from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rostra.core import StoreUnavailable


class Translated:
    """A block in which a driver's connection trouble becomes `StoreUnavailable`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        match error:
            case PoolTimeout():
                reason = "no connection became free in time"
            case OperationalError() | InterfaceError():
                reason = str(error.orig).strip() or repr(error.orig)
            case DatabaseError() if type(error.orig) is sqlite3.DatabaseError:
                # SQLite's plain one means a damaged file, or one that is no database.
                reason = str(error.orig)
            case sqlite3.DatabaseError():  # from outside SQLAlchemy
                reason = str(error)
            case _:
                return
        raise StoreUnavailable(
            f"the database does not answer: {reason.splitlines()[0]}",
            hint="Check database_url, the server, and free disk space; see `rostra doctor`.",
        ) from error
