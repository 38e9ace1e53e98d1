"""The sandbox's filter, run by an interpreter of its own here instead of by the kernel."""

import errno
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_servers.python.seccomp import _LISTED, seccomp_filter

ALLOW, KILL, REFUSE, ABSENT = 0x7FFF0000, 0x80000000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
MACHINES = pytest.mark.parametrize("machine", list(AUDIT))


def verdict(machine: str, number: int, *arguments: int, audit: int | None = None) -> int:
    """What the filter says of a call (BPF: linux/filter.h)."""
    program = seccomp_filter(machine)
    assert program is not None
    code = list(struct.iter_unpack("=HBBI", program))
    data = struct.pack("=IIQ", number, AUDIT[machine] if audit is None else audit, 0)
    data += struct.pack("=6Q", *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    at = value = 0
    while True:
        operation, true, false, k = code[at]
        at += 1
        match operation:
            case 0x20:
                (value,) = struct.unpack_from("=I", data, k)
            case 0x15:
                at += true if value == k else false
            case 0x35:
                at += true if value >= k else false
            case 0x45:
                at += true if value & k else false
            case 0x06:
                return int(k)
            case _:
                raise AssertionError(f"operation {operation:#x}")


def listed(machine: str) -> dict[str, int]:
    column = {"x86_64": 1, "aarch64": 2}[machine]
    rows = [row.split() for row in _LISTED.replace("\n", " ").split(",")]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


CLONE = {"x86_64": 56, "aarch64": 220}
IOCTL = {"x86_64": 16, "aarch64": 29}
PRCTL = {"x86_64": 157, "aarch64": 167}
THREAD = 0x3D0F00  # what C libraries make threads with


@MACHINES
def test_numbers_are_the_kernels(machine: str) -> None:
    header = HEADERS[machine]
    if not header.is_file():
        pytest.skip(f"there is no {header}")
    text = header.read_text()
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)$", text, re.MULTILINE))
    found = {"newfstatat": found.get("fstatat", "")} | found
    assert {name: int(found[name]) for name in listed(machine)} == listed(machine)


@MACHINES
@given(number=st.integers(0, 2**32 - 1))
def test_only_what_is_listed_is_allowed(machine: str, number: int) -> None:
    special = {CLONE[machine], IOCTL[machine], PRCTL[machine], 435}
    if number in special:
        return
    expected = ALLOW if number in listed(machine).values() else REFUSE
    assert verdict(machine, number) == expected


@MACHINES
def test_small_numbers_one_by_one(machine: str) -> None:
    names = {number: name for name, number in listed(machine).items()}
    allowed = {number for number in range(600) if verdict(machine, number) == ALLOW}
    assert allowed == set(names)
    for forbidden in ("execve", "ptrace", "mount", "socket", "memfd_create", "fork", "bpf"):
        assert forbidden not in names.values()


@MACHINES
@given(number=st.integers(0, 2**32 - 1), audit=st.integers(0, 2**32 - 1))
def test_another_machines_numbers_end_the_process(machine: str, number: int, audit: int) -> None:
    if audit != AUDIT[machine]:
        assert verdict(machine, number, audit=audit) == KILL


@MACHINES
@given(flags=st.integers(0, 2**64 - 1))
def test_clone_makes_threads_and_nothing_else(machine: str, flags: int) -> None:
    assert verdict(machine, CLONE[machine], THREAD) == ALLOW
    assert verdict(machine, CLONE[machine], 17) == REFUSE  # fork: SIGCHLD alone
    new = 0x7E020080
    allowed = flags & 0x10000 and not flags & new
    assert verdict(machine, CLONE[machine], flags) == (ALLOW if allowed else REFUSE)
    assert verdict(machine, 435, 0, 88) == ABSENT


@MACHINES
def test_a_second_set_of_numbers_is_refused(machine: str) -> None:
    for number in listed(machine).values():
        assert verdict(machine, number | 0x40000000) == REFUSE


@MACHINES
@given(value=st.integers(0, 2**32 - 1))
def test_requests_to_descriptors_and_the_process_are_few(machine: str, value: int) -> None:
    assert verdict(machine, IOCTL[machine], 0, 0x5412) == REFUSE  # TIOCSTI
    assert verdict(machine, IOCTL[machine], 0, 0x541B) == ALLOW  # FIONREAD
    assert verdict(machine, PRCTL[machine], 22) == REFUSE  # PR_SET_SECCOMP
    assert verdict(machine, PRCTL[machine], 15) == ALLOW  # PR_SET_NAME
    if value > 0x10000 and value != 0x53564D41:
        assert verdict(machine, IOCTL[machine], 0, value) == REFUSE
        assert verdict(machine, PRCTL[machine], value) == REFUSE


def test_machines_it_is_not_written_for_have_none() -> None:
    assert seccomp_filter("riscv64") is None
    assert seccomp_filter("i686") is None
