"""Advice for users about errors of the operating system, by the error's number."""

import errno

_DISK_FULL = "The disk is full. Free some space, then run again."
_QUOTA = "Your quota on this disk is used up. Free some space, or ask for more, then run again."
_FORBIDDEN = "You have no permission. Correct the owner or the permissions, then run again."
_READ_ONLY = "The disk is mounted read-only. Put the project on another disk, then run again."
_TOO_MANY_FILES = "Too many files are open. Raise the limit (`ulimit -n`), or use fewer cores."
_TOO_MANY_PROCESSES = (
    "The system cannot start more processes. Use fewer cores, or raise the limit (`ulimit -u`)."
)
_GONE = "Something deleted or renamed the file while the job ran. Run again."
_BROKEN_DISK = (
    "The disk or the connection to it failed. Look at the system's log (`dmesg`), then run again."
)
_WRONG_TYPE = (
    "A file is where a folder should be, or a folder where a file should be, or a link is broken. "
    "Delete the wrong file, folder or link, then run again."
)
_TOO_LONG = "The path is too long for this disk. Put the project into a folder with a shorter path."
_NO_NETWORK = "There was no connection. Check the network and the proxy settings, then run again."

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
    errno.EEXIST: "Another process may have made the file at the same time. Run again.",
    errno.ENOTEMPTY: "Another process may be writing there. Wait until it ends, then run again.",
    errno.EBUSY: "Another program is using the file. Wait until it ends, then run again.",
    errno.ETXTBSY: "Another program is using the file. Wait until it ends, then run again.",
    errno.ENOTDIR: _WRONG_TYPE,
    errno.EISDIR: _WRONG_TYPE,
    errno.ELOOP: _WRONG_TYPE,
    errno.ENAMETOOLONG: _TOO_LONG,
    errno.EXDEV: "The two paths are on different disks. Keep the results folder on one disk.",
    errno.ENOLCK: "The disk has no file locks. Use another disk, or ask for locks to be enabled.",
    errno.EOPNOTSUPP: "The disk does not support this. Put the project on another disk, run again.",
    errno.ECONNREFUSED: _NO_NETWORK,
    errno.ECONNRESET: _NO_NETWORK,
    errno.ECONNABORTED: _NO_NETWORK,
    errno.EPIPE: "The process at the other end has ended. Check whether it was killed (`dmesg`).",
    errno.ETIMEDOUT: _NO_NETWORK,
    errno.EHOSTUNREACH: _NO_NETWORK,
    errno.EHOSTDOWN: _NO_NETWORK,
    errno.ENETUNREACH: _NO_NETWORK,
    errno.ENETDOWN: _NO_NETWORK,
    errno.ENETRESET: _NO_NETWORK,
    errno.EADDRNOTAVAIL: _NO_NETWORK,
}
"""What the user can do, by the number of the error."""

OUT_OF_MEMORY = "out of memory. Run with fewer cores (`--cores 1`), or on a larger machine."


def advice(error: OSError, log: str) -> str:
    """Return what happened and what the user can do; `log` is the file with the traceback.

    OSErrors that libraries raise may have no number; for these only the text is known.
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
        return f"{what}. The traceback in {log} says which file the job read or wrote."
    if error.errno in ADVICE:
        return f"{what}. {ADVICE[error.errno]}"
    return f"{what}. Look up the error, or report it with {log}. Then run again."
