"""What a user can do about an error of the operating system: its number tells."""

import errno

_DISK_FULL = "The disk is full. Make room on it, then run again."
_QUOTA = "Your quota on that disk is used up. Make room in it, or ask for more, then run again."
_FORBIDDEN = "You may not do that there. Correct the owner or the permissions, then run again."
_READ_ONLY = "The disk is mounted for reading only. Put the project on another one, then run again."
_TOO_MANY_FILES = "Too many files are open. Raise the limit (`ulimit -n`), or use fewer cores."
_TOO_MANY_PROCESSES = (
    "The system starts no more processes now. Use fewer cores, or raise the limit (`ulimit -u`)."
)
_GONE = "Something deleted or renamed it while the job ran. Run again."
_BROKEN_DISK = (
    "The disk failed, or the connection to it. Look at the system's log (`dmesg`), then run again."
)
_WRONG_TYPE = (
    "A file is where a folder should be, or a folder where a file should be, or a link leads "
    "nowhere. Delete it, then run again."
)
_TOO_LONG = "The path is too long for this disk. Put the project into a folder with a shorter path."
_NO_NETWORK = "There was no connection. Look at the network and the proxy settings, then run again."

ADVICE = {
    errno.ENOSPC: _DISK_FULL,
    errno.EDQUOT: _QUOTA,
    errno.EFBIG: "The file is larger than the disk or `ulimit -f` allows. Use another disk.",
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: _READ_ONLY,
    errno.EMFILE: _TOO_MANY_FILES,
    errno.ENFILE: _TOO_MANY_FILES,
    errno.EAGAIN: _TOO_MANY_PROCESSES,
    errno.ENOENT: _GONE,
    errno.ESTALE: _GONE,
    errno.EIO: _BROKEN_DISK,
    errno.ENXIO: _BROKEN_DISK,
    errno.ENODEV: _BROKEN_DISK,
    errno.EEXIST: "Another process may have made it at the same moment. Run again.",
    errno.ENOTEMPTY: "Another process may write there. Wait for it to end, then run again.",
    errno.EBUSY: "Another program uses it. Wait for it to end, then run again.",
    errno.ETXTBSY: "Another program uses it. Wait for it to end, then run again.",
    errno.ENOTDIR: _WRONG_TYPE,
    errno.EISDIR: _WRONG_TYPE,
    errno.ELOOP: _WRONG_TYPE,
    errno.ENAMETOOLONG: _TOO_LONG,
    errno.EXDEV: "The two paths are on different disks. Keep the results folder on one disk.",
    errno.ENOLCK: "The disk gives no file locks. Use another one, or have its locks switched on.",
    errno.EOPNOTSUPP: "This disk cannot do that. Put the project on another one, then run again.",
    errno.ECONNREFUSED: _NO_NETWORK,
    errno.ECONNRESET: _NO_NETWORK,
    errno.ECONNABORTED: _NO_NETWORK,
    errno.EPIPE: "The process at the other end has ended. See whether it was killed (`dmesg`).",
    errno.ETIMEDOUT: _NO_NETWORK,
    errno.EHOSTUNREACH: _NO_NETWORK,
    errno.EHOSTDOWN: _NO_NETWORK,
    errno.ENETUNREACH: _NO_NETWORK,
    errno.ENETDOWN: _NO_NETWORK,
    errno.ENETRESET: _NO_NETWORK,
    errno.EADDRNOTAVAIL: _NO_NETWORK,
}
"""What to do, by the number of the error."""

OUT_OF_MEMORY = "out of memory: run with fewer cores (`--cores 1`), or on a larger machine."


def advice(error: OSError, log: str) -> str:
    """Return what happened and what to do, for the user; `log` is where the traceback is.

    Libraries raise OSErrors of their own, without a number: of those only their text is known.
    """
    import socket

    if error.errno == errno.ENOMEM:
        return OUT_OF_MEMORY
    if isinstance(error, (socket.gaierror, socket.herror)):
        return f"{error}. {_NO_NETWORK}"
    what = str(error) or type(error).__name__
    if isinstance(error, (ConnectionError, TimeoutError)):
        return f"{what}. {ADVICE.get(error.errno, _NO_NETWORK)}"
    if error.errno is None:
        return f"{what}. The traceback in {log} says which file was read or written then."
    if error.errno in ADVICE:
        return f"{what}. {ADVICE[error.errno]}"
    return f"{what}. Look the error up, or report it with {log}; then run again."
