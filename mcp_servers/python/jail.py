"""The program that a sandboxed run is: it locks itself in, then becomes the code.

Run by path in an isolated interpreter (`python -I -S jail.py FD`), so it uses the standard library
alone. FD is a stream socket: the first line of it is the request, then `inside.py` speaks over it.

Three processes: the first stays outside and maps the one user that the sandbox has; the second
makes the namespaces; the third is process 1 in them, builds the file system, gives up every
capability and runs the code. Each dies when its parent does.

What always holds: the code sees a file system of read-only binds and one tmpfs, no `/proc`, no
process but its own, no network device, no environment and no descriptor but 0 to 2 and FD; it has
no capability and cannot get one. If a step fails, no code is run and the answer says which it was.

Source: namespaces(7), user_namespaces(7), pivot_root(2), mount_setattr(2), seccomp(2).
"""

# To import pathlib would take longer than all that is done here.
# ruff: noqa: PTH102, PTH103, PTH106, PTH110, PTH112, PTH211
import ctypes
import json
import os
import resource
import runpy
import signal
import struct
import sys
from typing import Any, NoReturn

# CLONE_NEW: ns (mounts), cgroup, uts, ipc, user, pid, net.
_NAMESPACES = sum((0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000))
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 0x1000, 0x4000, 0x40000
_MNT_DETACH = 2
_MOUNT_SETATTR = 442  # the same on every machine; C libraries have the function only of late
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE = 1, 22, 38, 4
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION = 0x20080522

_NOBODY = 65534
_SCRATCH = "/scratch"
_HOST = "/.host"  # its file system, while ours is built
_DEVICES = ("null", "zero", "random", "urandom")
# Where modules of the standard library find the C libraries that they load, and time zones.
_SHARED = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo")

_libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """A step that the sandbox needs is not to be had here; `number` is its errno."""

    def __init__(self, step: str, number: int) -> None:
        super().__init__(step)
        self.step = step
        self.number = number


def main(channel: int) -> NoReturn:
    """Reads the request and runs it; the exit status is that of process 1."""
    try:
        inside = runpy.run_path(__file__.removesuffix("jail.py") + "inside.py")
        request = json.loads(inside["read_line"](channel))
        _spawn_outside()
        parent = _enter_namespaces()
        _build_files(request)
        _give_up_rights()
        _die_with_parent()
        _leave_if_alone(parent)
        os.closerange(channel + 1, 1 << 16)
        os.closerange(3, channel)
        _set_limits(request["limits"])
        _filter_calls(bytes.fromhex(request["filter"]))
    except Refused as refused:
        _say(channel, {"refused": {"step": refused.step, "errno": refused.number}})
        os._exit(1)
    except OSError as error:
        _say(channel, {"refused": {"step": f"set-up ({error})", "errno": error.errno or 0}})
        os._exit(1)
    os.environ.clear()  # Python itself sets its locale there
    inside["run"](request["code"], channel, request["text"])
    os._exit(0)


def _say(channel: int, message: dict[str, Any]) -> None:
    os.write(channel, json.dumps(message).encode() + b"\n")


# --- Processes ----------------------------------------------------------------------------------
def _spawn_outside() -> None:
    """Returns in a child; the parent gives that child's user namespace its user and waits."""
    made_read, made_write = os.pipe()
    mapped_read, mapped_write = os.pipe()
    child = os.fork()
    if child:
        os.close(made_write)
        if os.read(made_read, 1):
            _map_user(child)
            os.write(mapped_write, b"1")
        _wait(child)
    os.close(made_read)
    os.close(mapped_write)
    _checked("unshare", _libc.unshare(_NAMESPACES))
    _die_with_parent()
    os.write(made_write, b"1")
    os.close(made_write)
    if not os.read(mapped_read, 1):
        raise Refused("uid_map", 1)
    os.close(mapped_read)


def _map_user(child: int) -> None:
    """The namespace's nobody is the host's, for root, and else whoever runs this.

    Root is there too while the file system is built, because only it may open all of the
    interpreter's files.
    """
    user, group = os.geteuid(), os.getegid()
    for name, own in (("uid_map", user), ("gid_map", group)):
        if user == 0:
            text = f"0 0 1\n{_NOBODY} {_NOBODY} 1\n"
        else:
            text = f"{_NOBODY} {own} 1\n"
            if name == "gid_map":
                _write(f"/proc/{child}/setgroups", "deny")
        _write(f"/proc/{child}/{name}", text)


def _enter_namespaces() -> int:
    """Returns in process 1, with a pipe that ends when its waiting parent does."""
    read, write = os.pipe()
    child = os.fork()
    if child:
        _wait(child)
    os.close(write)
    return read


def _wait(child: int) -> NoReturn:
    """Ends as the child ends."""
    _, status = os.waitpid(child, 0)
    os._exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


def _die_with_parent() -> None:
    """Asks for it anew after each change of rights, which undoes it."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _leave_if_alone(parent: int) -> None:
    """Ends when the parent died before its death was asked for."""
    os.set_blocking(parent, False)
    try:
        os.read(parent, 1)
        os._exit(1)
    except BlockingIOError:  # nobody writes, but somebody could
        os.close(parent)


# --- Files --------------------------------------------------------------------------------------
def _build_files(request: dict[str, Any]) -> None:
    """A tmpfs as root directory, with what Python reads bound into it; then the old one goes."""
    folders = (*_SHARED, *sys.path, *request["folders"])
    real = {folder: os.path.realpath(folder) for folder in folders if os.path.isdir(folder)}
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    _mount("tmpfs", "/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,nr_inodes=1k,mode=755")
    os.umask(0o022)
    os.chdir("/tmp")
    os.mkdir(_HOST[1:])
    _checked("pivot_root", _libc.pivot_root(b".", _HOST[1:].encode()))
    os.chdir("/")
    bound: list[str] = []
    for folder, source in real.items():
        if not _is_under(folder, bound):
            _bind(source, folder)
            bound.append(folder)
    for name in _DEVICES:
        _bind_device(f"/dev/{name}")
    size, files = request["limits"]["scratch"], request["limits"]["scratch_files"]
    os.mkdir(_SCRATCH)
    options = f"size={size},nr_inodes={files},mode=700,uid={_NOBODY},gid={_NOBODY}"
    _mount("tmpfs", _SCRATCH, "tmpfs", _MS_NOSUID | _MS_NODEV, options)
    if not os.path.exists("/tmp"):  # a folder below it may be bound
        os.symlink(_SCRATCH, "/tmp")
    _checked("umount2", _libc.umount2(_HOST.encode(), _MNT_DETACH))
    os.rmdir(_HOST)
    _set_attributes("/", _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV, recursive=False)
    os.chdir(_SCRATCH)
    sys.path += request["folders"]
    host = b"sandbox"
    _checked("sethostname", _libc.sethostname(host, len(host)))


def _is_under(folder: str, bound: list[str]) -> bool:
    return any(folder == above or folder.startswith(above + "/") for above in bound)


def _bind(source: str, folder: str) -> None:
    """Shows a folder of the host, read-only, under its own name."""
    if source != folder and _is_under(source, [*_SHARED]):
        os.symlink(source, folder)  # /lib is one on most systems
        return
    os.makedirs(folder)
    _mount(_HOST + source, folder, None, _MS_BIND | _MS_REC)
    _set_attributes(folder, _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV)


def _bind_device(path: str) -> None:
    os.makedirs("/dev", exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o666))
    _mount(_HOST + path, path, None, _MS_BIND)
    _set_attributes(path, _ATTR_NOSUID)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    raw = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    done = _libc.mount(*raw, ctypes.c_ulong(flags), data.encode() or None)
    _checked(f"mount {source or ''} on {target}", done)


def _set_attributes(path: str, attributes: int, *, recursive: bool = True) -> None:
    wanted = ctypes.create_string_buffer(struct.pack("=QQQQ", attributes, 0, 0, 0), 32)
    flags = _AT_RECURSIVE if recursive else 0
    done = _libc.syscall(
        *(ctypes.c_long(_MOUNT_SETATTR), ctypes.c_long(_AT_FDCWD), os.fsencode(path)),
        *(ctypes.c_long(flags), wanted, ctypes.c_long(32)),
    )
    _checked(f"mount_setattr of {path}", done)


# --- Rights -------------------------------------------------------------------------------------
def _give_up_rights() -> None:
    """Nobody, without a capability, and without a way to any."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    _checked("capset", _libc.capset(header, bytes(24)))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_DUMPABLE, 0)


def _set_limits(limits: dict[str, int]) -> None:
    for name, most in (
        ("CORE", 0),
        ("MEMLOCK", 0),
        ("MSGQUEUE", 0),
        ("CPU", limits["cpu"]),
        ("FSIZE", limits["scratch"]),
        ("NOFILE", limits["files"]),
        ("NPROC", limits["threads"]),
        ("AS", limits["memory"]),
    ):
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))


def _filter_calls(program: bytes) -> None:
    filters = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("@HP", len(program) // 8, ctypes.addressof(filters))
    place = ctypes.create_string_buffer(described, len(described))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(place))


def _prctl(option: int, *arguments: int) -> None:
    padded = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    _checked(f"prctl {option}", _libc.prctl(option, *padded))


def _checked(step: str, result: int) -> None:
    if result == -1:
        raise Refused(step, ctypes.get_errno())


def _write(path: str, text: str) -> None:
    try:
        handle = os.open(path, os.O_WRONLY)
        os.write(handle, text.encode())
        os.close(handle)
    except OSError as error:
        raise Refused(path.rpartition("/")[2], error.errno or 0) from error


if __name__ == "__main__":
    main(int(sys.argv[1]))
