"""Programs in Python that try to get out of their sandbox, or to take the machine down with them."""

from __future__ import annotations

from textwrap import dedent

from support.escapes import Escape

_CTYPES = "import ctypes\nC = ctypes.CDLL(None, use_errno=True)\n"


def _escape(name: str, ends: str, source: str) -> Escape:
    return Escape(name, dedent(source).strip(), ends)


FILES = [
    _escape("read a file", "PermissionError", "return open(input['file']).read()"),
    _escape("read a file by the system", "PermissionError", "import os\nreturn os.open(input['file'], 0)"),
    _escape("read the users", "PermissionError", "return open('/etc/passwd').read()"),
    _escape("climb out", "PermissionError", "return open('../' * 20 + input['file']).read()"),
    _escape("list the root", "PermissionError", "import os\nreturn os.listdir('/')"),
    _escape("list the parent", "PermissionError", "import os\nreturn os.listdir('..')"),
    _escape("walk all", "", "import os\nreturn [files for _, _, files in os.walk('/')]"),
    _escape("write a file", "PermissionError", "open(input['folder'] + '/x', 'w').write('x')"),
    _escape("make a folder", "PermissionError", "import os\nos.mkdir(input['folder'] + '/x')"),
    _escape(
        "link to a file",
        "PermissionError",
        "import os\nos.symlink(input['file'], 'a')\nreturn open('a').read()",
    ),
    _escape(
        "link a file hard",
        "PermissionError",
        "import os\nos.link(input['file'], 'a')\nreturn open('a').read()",
    ),
    _escape(
        "move a file out",
        "PermissionError",
        "import os\nopen('a', 'w')\nos.rename('a', input['folder'] + '/a')",
    ),
    _escape(
        "move a file in",
        "PermissionError",
        "import os\nos.rename(input['file'], 'a')\nreturn open('a').read()",
    ),
    _escape("delete a file", "PermissionError", "import os\nos.unlink(input['file'])"),
    _escape("change a mode", "PermissionError", "import os\nos.chmod(input['file'], 0o777)"),
    _escape("change an owner", "PermissionError", "import os\nos.chown(input['file'], 65534, 65534)"),
    _escape("cut a file", "PermissionError", "import os\nos.truncate(input['file'], 0)"),
    _escape("cut an open file", "PermissionError", "open(input['file'], 'r+').truncate(0)"),
    _escape(
        "cut a file in a mode that is none",
        "PermissionError",
        "import os\nos.open(input['file'], 3 | os.O_TRUNC)",
    ),
    _escape(
        "cut a file to read it",
        "PermissionError",
        "import os\nos.open(input['file'], os.O_RDONLY | os.O_TRUNC)",
    ),
    _escape(
        "cut a file of its own to read it",
        "PermissionError",
        "import os\nopen('a', 'w').close()\nos.open('a', os.O_RDONLY | os.O_TRUNC)",
    ),
    _escape(
        "delete a file of its own", "PermissionError", "import os\nopen('a', 'w').close()\nos.unlink('a')"
    ),
    _escape(
        "move a file over another of its own",
        "PermissionError",
        "import os\nopen('a', 'w').close()\nopen('b', 'w').close()\nos.replace('a', 'b')",
    ),
    _escape(
        "delete a file by the system",
        "",
        _CTYPES
        + "open('a', 'w').close()\n"
        + "found = [C.unlink(b'a'), C.unlinkat(-100, b'a', 0), C.rename(b'a', b'b'), C.renameat2(-100, b'a', -100, b'b', 0)]\n"
        + "assert found == [-1] * 4, found",
    ),
    _escape(
        "a file without a name", "PermissionError", "import os\nos.open('.', os.O_TMPFILE | os.O_RDWR, 0o600)"
    ),
    _escape("go elsewhere", "PermissionError", "import os\nos.chdir('/')\nreturn open('etc/passwd').read()"),
    _escape("change the root", "PermissionError", "import os\nos.chroot('.')"),
    _escape("make a device", "PermissionError", "import os, stat\nos.mknod('a', 0o600 | stat.S_IFCHR, 257)"),
    _escape("make a pipe with a name", "PermissionError", "import os\nos.mkfifo(input['folder'] + '/a')"),
    _escape(
        "open by a folder's descriptor",
        "PermissionError",
        "import os\nroot = os.open('/', os.O_PATH)\nreturn os.open(input['file'], 0, dir_fd=root)",
    ),
    _escape(
        "write a database",
        "OperationalError",
        "import sqlite3\nsqlite3.connect(input['folder'] + '/x.db').execute('CREATE TABLE a (b)')",
    ),
    _escape(
        "copy a file",
        "PermissionError",
        "import shutil\nshutil.copy(input['file'], 'a')\nreturn open('a').read()",
    ),
    _escape("shared memory", "PermissionError", "open('/dev/shm/headrace-escape', 'w').write('x')"),
    _escape(
        "the machine's memory", "PermissionError|FileNotFoundError", "return open('/dev/mem', 'rb').read(10)"
    ),
    _escape(
        "all open descriptors",
        "",
        """
        import os
        found = []
        for one in range(3, 300):
            try:
                found.append([one, os.fstat(one).st_mode, os.pread(one, 100, 0).decode()])
            except OSError:
                pass
        return found
        """,
    ),
    _escape(
        "import what is installed",
        "ModuleNotFoundError",
        "import sys\nsys.path.append(input['packages'])\nimport httpx\nreturn httpx.get('http://127.0.0.1')",
    ),
]

WHAT_OTHERS_KNOW = [
    _escape("the environment", "", "import os\nreturn dict(os.environ)"),
    _escape("its own environment", "PermissionError", "return open('/proc/self/environ').read()"),
    _escape(
        "its parent's environment",
        "PermissionError",
        "import os\nreturn open(f'/proc/{os.getppid()}/environ').read()",
    ),
    _escape(
        "another's environment", "PermissionError", "return open(f'/proc/{input[\"pid\"]}/environ').read()"
    ),
    _escape(
        "another's memory", "PermissionError", "return open(f'/proc/{input[\"pid\"]}/mem', 'rb').read(10)"
    ),
    _escape("all processes", "PermissionError", "import os\nreturn os.listdir('/proc')"),
    _escape("its own map", "PermissionError", "return open('/proc/self/maps').read()"),
    _escape(
        "objects of the nursery",
        "",
        """
        import gc
        return [str(one)[:200] for one in gc.get_objects() if 'canary' in str(one)[:10_000]][:20]
        """,
    ),
    _escape(
        "frames of the cell",
        "",
        """
        import sys
        frame, found = sys._getframe(), []
        while frame:
            found.append([str(one)[:500] for one in frame.f_locals.values()])
            frame = frame.f_back
        return found
        """,
    ),
]

NETWORK = [
    _escape("TCP", "PermissionError", "import socket\nsocket.create_connection(('127.0.0.1', input['tcp']))"),
    _escape(
        "UDP",
        "PermissionError",
        "import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', input['udp']))",
    ),
    _escape(
        "a socket in the file system",
        "PermissionError",
        "import socket\nsocket.socket(socket.AF_UNIX).connect(input['unix'])",
    ),
    _escape(
        "an abstract socket",
        "PermissionError",
        "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0' + input['abstract'])",
    ),
    _escape(
        "a pair of sockets sends elsewhere",
        "PermissionError",
        "import socket\na, b = socket.socketpair(type=socket.SOCK_DGRAM)\na.sendto(b'x', input['datagrams'])",
    ),
    _escape(
        "a pair of streams connects elsewhere",
        "PermissionError",
        "import socket\na, b = socket.socketpair()\na.connect(input['unix'])",
    ),
    _escape("listen", "PermissionError", "import socket\nsocket.create_server(('127.0.0.1', 0))"),
    _escape("packets", "PermissionError", "import socket\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW)"),
    _escape("netlink", "PermissionError", "import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"),
    _escape(
        "a loop's connection",
        "PermissionError",
        """
        async def main(tcp):
            import asyncio
            await asyncio.open_connection('127.0.0.1', tcp)
        """,
    ),
    _escape(
        "forge a huge answer", "OutputTooLarge", "import os\nos.write(3, b'\\xff' * 4)\nwhile True: pass"
    ),
    _escape("forge nonsense", "ProcessDied", "import os\nos.write(3, b'\\0\\0\\0\\3abc')\nos._exit(0)"),
    _escape(
        "forge numbers that are none",
        "ProcessDied",
        'import os\nx = b\'{"output": NaN, "trouble": null}\'\nos.write(3, bytes([0, 0, 0, len(x)]) + x)\nos._exit(0)',
    ),
]

PROCESSES = [
    _escape("fork", "PermissionError", "import os\nos.fork()"),
    _escape("a shell", "", "import os\nreturn os.system('touch ' + input['folder'] + '/x')"),
    _escape(
        "become another program", "PermissionError", "import os\nos.execv('/bin/sh', ['sh', '-c', 'true'])"
    ),
    _escape("spawn", "PermissionError", "import os\nos.posix_spawn('/bin/true', ['true'], {})"),
    _escape(
        "unpickle a shell",
        "",
        """
        import os, pickle
        class Evil:
            def __reduce__(self):
                return os.system, ('touch ' + input['folder'] + '/x',)
        return pickle.loads(pickle.dumps(Evil()))
        """,
    ),
    _escape(
        "threads", "RuntimeError", "import threading\nwhile True:\n    threading.Thread(target=print).start()"
    ),
    _escape(
        "a fork bomb",
        "Timeout",
        """
        import os
        while True:
            try:
                os.fork()
            except OSError:
                pass
        """,
    ),
    _escape(
        "old calls that fork",
        "",
        _CTYPES
        + "return [C.syscall(one) for one in (57, 58)] + [C.syscall(56, 17, 0, 0, 0, 0), C.syscall(435, 0, 0)]",
    ),
    _escape("signal another", "PermissionError", "import os\nos.kill(input['pid'], 10)"),
    _escape("kill the nursery", "PermissionError", "import os\nos.kill(os.getppid(), 9)"),
    _escape("kill all", "PermissionError", "import os\nos.kill(-1, 9)"),
    _escape("kill the group", "PermissionError", "import os\nos.killpg(0, 9)"),
    _escape("stop itself", "PermissionError", "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"),
    _escape(
        "signal by a socket's owner",
        "PermissionError",
        """
        import fcntl, os, socket
        a, b = socket.socketpair()
        fcntl.fcntl(a, fcntl.F_SETOWN, input['pid'])
        fcntl.fcntl(a, fcntl.F_SETFL, os.O_ASYNC)
        b.send(b'x')
        """,
    ),
    _escape("trace another", "", _CTYPES + "return C.ptrace(16, input['pid'], 0, 0)"),
    _escape("another's memory by a call", "", _CTYPES + "return C.syscall(310, input['pid'], 0, 0, 0, 0, 0)"),
    _escape("become root", "PermissionError", "import os\nos.setuid(0)"),
    _escape(
        "raise a limit",
        "ValueError",
        "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (-1, -1))",
    ),
    _escape(
        "set another's limit", "PermissionError", "import resource\nresource.prlimit(input['pid'], 7, (0, 0))"
    ),
    _escape(
        "lift the walls",
        "",
        _CTYPES + "return [C.prctl(22, 0, 0, 0, 0), C.prctl(1, 0, 0, 0, 0), C.prctl(4, 1, 0, 0, 0)]",
    ),
    _escape(
        "calls that nobody needs",
        "",
        _CTYPES
        + "# unshare, mount, bpf, userfaultfd, io_uring_setup, memfd_create, keyctl, perf_event_open, open_by_handle_at\n"
        + "return [C.syscall(one, 0, 0, 0, 0, 0) for one in (272, 165, 321, 323, 425, 319, 250, 298, 304, 157, 101)]",
    ),
    _escape(
        "calls by another processor's numbers",
        "ProcessDied",
        """
        import ctypes, mmap
        code = mmap.mmap(-1, 4096, prot=7)
        code.write(b'\\xb8\\x02\\x00\\x00\\x00\\xcd\\x80\\xc3')  # mov eax, 2 (fork); int 0x80; ret
        address = ctypes.addressof(ctypes.c_char.from_buffer(code))
        return ctypes.CFUNCTYPE(ctypes.c_int)(address)()
        """,
    ),
]

RESOURCES = [
    _escape("loop", "Timeout", "while True: pass"),
    _escape("sleep", "Timeout", "import time\ntime.sleep(1000)"),
    _escape(
        "be deaf",
        "Timeout",
        """
        import signal
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            try:
                while True: pass
            except BaseException:
                pass
        """,
    ),
    _escape(
        "leave something to do at the end",
        "SystemExit",
        "import atexit\natexit.register(lambda: [0 for _ in iter(int, 1)])\nraise SystemExit",
    ),
    _escape("memory in crumbs", "MemoryError", "x = []\nwhile True: x.append(bytearray(4096))"),
    _escape("memory in one bite", "MemoryError", "return len(bytearray(1 << 40))"),
    _escape("memory by pages", "OSError", "import mmap\nx = [mmap.mmap(-1, 1 << 28) for _ in range(100)]"),
    _escape(
        "a large file",
        "DiskFull",
        "for n in range(10):\n    open(str(n), 'wb').write(bytes(7 << 20))\nwhile True: pass",
    ),
    _escape("a file over the limit", "OSError", "f = open('a', 'wb')\nwhile True: f.write(bytes(1 << 20))"),
    _escape(
        "large files that are deleted",
        "DiskFull",
        """
        import mmap, os
        held = []
        while True:
            with open(str(len(held)), 'w+b') as file:
                try:
                    os.unlink(file.name)
                except PermissionError:
                    pass
                file.truncate(4 << 20)
                held.append(mmap.mmap(file.fileno(), 4 << 20))
                held[-1][:] = bytes(4 << 20)
            if len(held) == 8:
                break
        while True: pass
        """,
    ),
    _escape("many files", "DiskFull", "n = 0\nwhile True:\n    open(str(n), 'w').close()\n    n += 1"),
    _escape("lines without end", "OutputTooLarge", "while True: print('x' * 100)"),
    _escape("errors without end", "OutputTooLarge", "import sys\nwhile True: sys.stderr.write('x' * 100)"),
    _escape("a huge answer", "OutputTooLarge", "return 'x' * (4 << 20)"),
    _escape("a deep answer", "BadOutput", "x = []\nfor _ in range(100_000): x = [x]\nreturn x"),
    _escape("a circle", "BadOutput", "x = []\nx.append(x)\nreturn x"),
    _escape("deep recursion", "RecursionError", "def f(): f()\nf()"),
    _escape(
        "deeper recursion",
        "ProcessDied|MemoryError|SystemError|RecursionError",
        "import sys\nsys.setrecursionlimit(1 << 30)\ndef f(x): return f([x] + [x])\nf(0)",
    ),
    _escape("descriptors", "OSError", "x = []\nwhile True: x.append(open('a', 'w'))"),
    _escape("a regular expression", "Timeout", "import re\nre.match('(a+)+$', 'a' * 60 + 'b')"),
    _escape("a large number", "Timeout|MemoryError", "return len(str(10 ** 10 ** 9))"),
    _escape("a text for the parser", "MemoryError|SyntaxError|RecursionError", "eval('(' * 1_000_000)"),
    _escape(
        "a nested source", "SyntaxError|MemoryError|ProcessDied|RecursionError", "x = " + "-" * 200_000 + "1"
    ),
    _escape("crash", "ProcessDied", "import ctypes\nctypes.string_at(0)"),
    _escape("abort", "ProcessDied", "import os\nos.abort()"),
    _escape("leave at once", "ProcessDied", "import os\nos._exit(0)"),
    _escape(
        "an answer that lies",
        "PermissionError",
        """
        class Evil(dict):
            def items(self):
                return [('folder', open(input['file']).read())]
        return Evil(a=1)
        """,
    ),
    _escape(
        "an error that does not end",
        "Timeout",
        """
        class Evil(Exception):
            def __str__(self):
                while True: pass
        raise Evil
        """,
    ),
    _escape("an error with a huge text", "ValueError", "raise ValueError('x' * 10_000_000)"),
]

ESCAPES = [*FILES, *WHAT_OTHERS_KNOW, *NETWORK, *PROCESSES, *RESOURCES]
