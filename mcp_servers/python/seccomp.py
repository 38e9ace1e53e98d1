"""The seccomp filter of sandboxed Python: a list of the system calls it may make.

Our own program rather than libseccomp's: it is one page, and needs no library that a slim container
may lack. A call that is not listed fails with EPERM, so Python raises PermissionError and goes on;
a call in another machine's numbers ends the process.

What always holds: a listed call reaches nothing outside the sandbox's namespaces. Threads can be
made and processes cannot, so the memory limit of one process is the sandbox's. No call makes memory
that this limit does not count (memfd, System V and POSIX queues), opens a network socket, traces,
mounts, makes namespaces or keys, loads programs into the kernel or runs another program.

Source: seccomp(2), bpf(4) and the kernel's include/uapi/linux/{seccomp,filter,audit}.h.
"""

import errno
import struct
from dataclasses import dataclass

# struct sock_filter {u16 code; u8 jt; u8 jf; u32 k;}, and seccomp_data's offsets.
_LOAD, _EQUAL, _ANY_BIT, _ATLEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_NUMBER, _MACHINE, _FIRST, _SECOND = 0, 4, 16, 24
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000

_CLONE_THREAD = 0x00010000
_CLONE_NEW_ANYTHING = 0x7E020080  # mount, cgroup, uts, ipc, user, pid, net, time
# TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX: what file objects ask.
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
_PRCTLS = (15, 16, 0x53564D41)  # PR_SET_NAME, PR_GET_NAME, PR_SET_VMA: what threads and malloc ask
_X32 = 0x40000000  # x86-64 has a second set of numbers from here on

# Name, number on x86_64, number on aarch64 (the generic table).
_LISTED = """
read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69,
pwritev 296 70, preadv2 327 286, pwritev2 328 287, lseek 8 62, open 2 -, openat 257 56,
creat 85 -, close 3 57, close_range 436 436, stat 4 -, fstat 5 80, lstat 6 -, newfstatat 262 79,
statx 332 291, access 21 -, faccessat 269 48, faccessat2 439 439, readlink 89 -,
readlinkat 267 78, getcwd 79 17, chdir 80 49, fchdir 81 50, mkdir 83 -, mkdirat 258 34,
rmdir 84 -, unlink 87 -, unlinkat 263 35, rename 82 -, renameat 264 38, renameat2 316 276,
link 86 -, linkat 265 37, symlink 88 -, symlinkat 266 36, chmod 90 -, fchmod 91 52,
fchmodat 268 53, truncate 76 45, ftruncate 77 46, fallocate 285 47, fsync 74 82, fdatasync 75 83,
utime 132 -, utimes 235 -, utimensat 280 88, futimesat 261 -, getdents 78 -, getdents64 217 61,
statfs 137 43, fstatfs 138 44, flock 73 32, fcntl 72 25, dup 32 23, dup2 33 -, dup3 292 24,
pipe 22 -, pipe2 293 59, sendfile 40 71, copy_file_range 326 285, fadvise64 221 223, umask 95 166,
mmap 9 222, munmap 11 215, mprotect 10 226, mremap 25 216, madvise 28 233, brk 12 214,
msync 26 227, mincore 27 232,
futex 202 98, futex_waitv 449 449, set_robust_list 273 99, get_robust_list 274 100,
set_tid_address 218 96, rseq 334 293, membarrier 324 283, sched_yield 24 124,
sched_getaffinity 204 123, sched_getparam 143 121, sched_getscheduler 145 120,
sched_get_priority_min 147 126, sched_get_priority_max 146 125, getcpu 309 168,
getpriority 140 141, arch_prctl 158 -, restart_syscall 219 128,
gettid 186 178, getpid 39 172, getppid 110 173, getuid 102 174, geteuid 107 175, getgid 104 176,
getegid 108 177, getresuid 118 148, getresgid 120 150, getgroups 115 158, getpgrp 111 -,
getpgid 121 155, getsid 124 156, exit 60 93, exit_group 231 94, uname 63 160, sysinfo 99 179,
getrusage 98 165, getrlimit 97 163, prlimit64 302 261, wait4 61 260, waitid 247 95,
rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136,
rt_sigtimedwait 128 137, rt_sigsuspend 130 133, sigaltstack 131 132, kill 62 129, tkill 200 130,
tgkill 234 131, alarm 37 -, pause 34 -, setitimer 38 103, getitimer 36 102, signalfd4 289 74,
nanosleep 35 101, clock_nanosleep 230 115, clock_gettime 228 113, clock_getres 229 114,
gettimeofday 96 169, time 201 -, times 100 153, timerfd_create 283 85, timerfd_settime 286 86,
timerfd_gettime 287 87,
select 23 -, pselect6 270 72, poll 7 -, ppoll 271 73, epoll_create 213 -, epoll_create1 291 20,
epoll_ctl 233 21, epoll_wait 232 -, epoll_pwait 281 22, epoll_pwait2 441 441, eventfd2 290 19,
socketpair 53 199, sendto 44 206, recvfrom 45 207, shutdown 48 210, getsockname 51 204,
getpeername 52 205, getsockopt 55 209,
getrandom 318 278
"""


@dataclass(frozen=True, slots=True)
class _Machine:
    audit: int
    column: int
    clone: int
    clone3: int
    ioctl: int
    prctl: int


_MACHINES = {
    "x86_64": _Machine(0xC000003E, 1, 56, 435, 16, 157),
    "aarch64": _Machine(0xC00000B7, 2, 220, 435, 29, 167),
}


def seccomp_filter(machine: str) -> bytes | None:
    """The filter as an array of `struct sock_filter`; None for machines it is not written for.

    Args:
        machine: as `os.uname().machine` says.
    """
    known = _MACHINES.get(machine)
    if known is None:
        return None
    refuse = _ERRNO | errno.EPERM
    program = [
        *(_op(_LOAD, _MACHINE), _op(_EQUAL, known.audit, 1, 0), _op(_RETURN, _KILL_PROCESS)),
        *(_op(_LOAD, _NUMBER), _op(_ATLEAST, _X32, 0, 1), _op(_RETURN, refuse)),
    ]
    for number in sorted(_numbers(known.column)):
        program += [_op(_EQUAL, number, 0, 1), _op(_RETURN, _ALLOW)]
    # Its flags are behind a pointer, where no filter can look; C libraries then take clone.
    program += [_op(_EQUAL, known.clone3, 0, 1), _op(_RETURN, _ERRNO | errno.ENOSYS)]
    program += [
        *(_op(_EQUAL, known.clone, 0, 5), _op(_LOAD, _FIRST)),
        *(_op(_ANY_BIT, _CLONE_NEW_ANYTHING, 2, 0), _op(_ANY_BIT, _CLONE_THREAD, 0, 1)),
        *(_op(_RETURN, _ALLOW), _op(_RETURN, refuse)),
    ]
    for number, argument, allowed in (
        (known.ioctl, _SECOND, _IOCTLS),
        (known.prctl, _FIRST, _PRCTLS),
    ):
        program += [_op(_EQUAL, number, 0, 2 * len(allowed) + 2), _op(_LOAD, argument)]
        for value in allowed:
            program += [_op(_EQUAL, value, 0, 1), _op(_RETURN, _ALLOW)]
        program.append(_op(_RETURN, refuse))
    program.append(_op(_RETURN, refuse))
    return b"".join(program)


def _op(code: int, k: int, true: int = 0, false: int = 0) -> bytes:
    """One instruction; `true` and `false` are how many of the next ones a jump skips."""
    return struct.pack("=HBBI", code, true, false, k)


def _numbers(column: int) -> set[int]:
    rows = (row.split() for row in _LISTED.replace("\n", " ").split(","))
    return {int(row[column]) for row in rows if row[column] != "-"}
