"""Every way out of the Python sandbox that we know, tried.

Each attempt is code that a model might send; the host is looked at from outside afterwards.
"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_servers.python import Ending, Limits, Sandbox
from tests.integration.mcp_servers.sandboxed import needs_sandbox, run

SECRET = "the host's secret 6b1f"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(Limits(seconds=20))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the host that anybody may read."""
    tmp_path.chmod(0o755)
    file = tmp_path / "secret.txt"
    file.write_text(SECRET)
    file.chmod(0o644)
    return file


# What each attempt must end in: an exception of one of these kinds, whatever the code did before.
NO = ("PermissionError", "FileNotFoundError", "OSError", "BlockingIOError", "ValueError")
CALL = "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"


def syscall(*arguments: object) -> str:
    """Code that makes a system call and raises if it is refused."""
    words = ", ".join(map(str, arguments))
    return (
        f"{CALL}import os\n"
        f"if libc.syscall({words}) == -1: raise OSError(ctypes.get_errno(), 'refused')"
    )


def attempts() -> Iterator[tuple[str, str]]:
    yield "shadow", "open('/etc/shadow').read()"
    yield "passwd", "open('/etc/passwd').read()"
    yield "by a link", "import os; os.symlink('/etc/passwd', 'a'); open('a').read()"
    yield "up and out", "open('../../../../../../etc/hostname').read()"
    yield "proc", "open('/proc/self/environ').read()"
    yield "proc of init", "open('/proc/1/root/etc/passwd').read()"
    yield "sys", "open('/sys/kernel/notes', 'rb').read()"
    yield "disk", "open('/dev/vda', 'rb').read()"
    yield "kernel memory", "open('/dev/mem', 'rb').read()"
    yield "terminal", "open('/dev/tty').read()"
    yield "write the library", "import os; open(os.__file__, 'a').write('#')"
    yield "write the root", "open('/mine', 'w')"
    yield "remove the library", "import os; os.unlink(os.__file__)"
    yield "chmod the library", "import os; os.chmod(os.__file__, 0o777)"
    yield "connect", "import socket; socket.create_connection(('127.0.0.1', 22), timeout=1)"
    yield "udp", "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"
    yield "unix", "import socket; socket.socket(socket.AF_UNIX).connect('/run/docker.sock')"
    yield "netlink", "import socket; socket.socket(16, socket.SOCK_RAW)"
    yield "raw", "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"
    yield "name", "import socket; socket.create_server(('', 0))"
    yield "fork", "import os; os.fork()"
    yield "fork bomb", "import os\nwhile True: os.fork()"
    yield "program", "import subprocess; subprocess.run(['/usr/bin/env'])"
    yield "exec", "import os; os.execv('/lib64/ld-linux-x86-64.so.2', ['ld'])"
    yield "shell", "import os; s = os.posix_spawn('/bin/sh', ['sh'], {})"
    yield (
        "processes",
        "import multiprocessing as m; m.get_context('fork').Process(target=print).start()",
    )
    yield "root", "import os; os.setuid(0)"
    yield "groups", "import os; os.setgroups([0])"
    yield "chroot", "import os; os.chroot('/')"
    yield "more memory", "import resource as r; r.setrlimit(r.RLIMIT_AS, (r.RLIM_INFINITY,) * 2)"
    yield "device", "import os, stat; os.mknod('disk', stat.S_IFBLK | 0o666, os.makedev(254, 0))"
    yield "set user id", "import os; os.chown('/scratch', 0, 0)"
    yield "priority", "import os; os.setpriority(os.PRIO_PROCESS, 0, -20)"
    if os.uname().machine == "x86_64":
        yield "mount", syscall(165, "b'/'", "b'/tmp'", 0, 4096, 0)
        yield "unmount", syscall(166, "b'/usr'", 2)
        yield "pivot_root", syscall(155, "b'.'", "b'.'")
        yield "unshare", syscall(272, 0x10000000)
        yield "setns", syscall(308, 0, 0)
        yield "clone into new namespaces", syscall(56, 0x10000011, 0, 0, 0, 0)
        yield "clone3", syscall(435, 0, 88)
        yield "vfork", syscall(58)
        yield "ptrace", syscall(101, 16, 1, 0, 0)
        yield "read memory of others", syscall(310, 1, 0, 0, 0, 0, 0)
        yield "bpf", syscall(321, 0, 0, 0)
        yield "keys", syscall(250, 0, -3, 1)
        yield "io_uring", syscall(425, 8, 0)
        yield "userfaultfd", syscall(323, 0)
        yield "perf", syscall(298, 0, 0, -1, -1, 0)
        yield "memory without a limit", syscall(319, "b'x'", 0)
        yield "shared memory", syscall(29, 0, 1 << 30, 0o1600)
        yield "open by handle", syscall(304, -100, 0, 0)
        yield "reboot", syscall(169, 0xFEE1DEAD, 672274793, 0)
        yield "a second set of numbers", syscall(0x40000000 + 39)
        yield (
            "push keys",
            f"{CALL}libc.ioctl(0, 0x5412, b'x') == -1 and (_ for _ in ()).throw(OSError)",
        )
        yield "more filters", f"{CALL}libc.prctl(22, 1) == -1 and (_ for _ in ()).throw(OSError)"


@needs_sandbox
@pytest.mark.parametrize("code", [pytest.param(code, id=name) for name, code in attempts()])
async def test_no_way_out(code: str) -> None:
    ran = await run(code)
    assert ran.ending is Ending.RAISED, ran
    assert str(ran.error).splitlines()[-1].partition(":")[0].endswith(NO), ran.error
    assert ran.stdout == ""


@needs_sandbox
async def test_files_of_the_host_are_not_there(sandbox: Sandbox, secret: Path) -> None:
    code = f"""
import os
found = []
for folder, _, files in os.walk('/'):
    found += [folder + '/' + file for file in files if file == {secret.name!r}]
found, os.path.exists({str(secret)!r}), os.path.exists('/.host'), sorted(os.listdir('/dev'))
"""
    ran = await sandbox.run(code)
    assert ran.value == "([], False, False, ['null', 'random', 'urandom', 'zero'])"
    code = """
import os
def walked(top):
    try: return os.listdir(top)
    except OSError: return []
folders = ['/', '/dev', '/scratch', *(p for p in __import__('sys').path if os.path.isdir(p))]
folders.remove('/scratch')
[f for f in folders if os.access(f, os.W_OK)], walked('/root/.ssh'), walked('/home')
"""
    assert (await sandbox.run(code)).value == "([], [], [])"


@needs_sandbox
async def test_it_is_nobody_alone_and_knows_nothing_of_the_host(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_TOKEN", SECRET)
    code = """
import os, socket
seen = [pid for pid in range(1, 5000) if pid != os.getpid()]
def lives(pid):
    try: os.kill(pid, 0)
    except ProcessLookupError: return False
    return True
(dict(os.environ), os.getuid(), os.getgid(), os.getpid(), os.getppid(), socket.gethostname(),
 [pid for pid in seen if lives(pid)], os.getcwd())
"""
    ran = await sandbox.run(code)
    assert ran.value == "({}, 65534, 65534, 1, 0, 'sandbox', [], '/scratch')"
    # Nor does its memory hold what the server's environment does.
    ran = await sandbox.run("import ctypes; ctypes.CDLL(None).getenv(b'HOST_TOKEN')")
    assert ran.value == "0"


@needs_sandbox
async def test_descriptors_of_the_server_are_not_inherited(sandbox: Sandbox, secret: Path) -> None:
    handle = os.open(secret, os.O_RDONLY)
    os.set_inheritable(handle, True)
    try:
        ran = await sandbox.run(
            "import os\nfound = []\n"
            "for n in range(3, 4096):\n"
            "    try: found.append(oct(os.fstat(n).st_mode)[:4])\n"
            "    except OSError: pass\n"
            "found"
        )
    finally:
        os.close(handle)
    assert ran.value == "['0o14']"  # one socket: the channel


@needs_sandbox
async def test_kill_all_kills_nobody_else(sandbox: Sandbox) -> None:
    bystander = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        for target in (-1, 0, bystander.pid, os.getpid()):
            ran = await sandbox.run(f"import os, signal; os.kill({target}, signal.SIGTERM)")
            assert ran.ending is not Ending.TIME
        assert bystander.returncode is None
    finally:
        bystander.kill()
        await bystander.wait()
