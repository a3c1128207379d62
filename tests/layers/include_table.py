"""Who may include what: the layers (docs/design.md, "Layers") as a table.

    include_table.py SOURCE_ROOT

Reads the #include lines of every .cpp and .hpp. A new folder, or a new third-party header, has to be entered here first.
"""
import pathlib
import re
import sys
import tempfile
import unittest

# What any layer may use of the standard library: nothing that reaches the outside.
PURE = set("""
algorithm array atomic bit bitset cassert cctype cfloat charconv cinttypes climits cmath compare concepts cstdarg cstddef
cstdint cstdio cstdlib cstring deque exception forward_list functional initializer_list iomanip ios iosfwd iterator limits
list locale map memory memory_resource new numbers numeric optional ostream istream queue ratio regex set span sstream
stack stdexcept streambuf string string_view system_error tuple type_traits typeindex typeinfo unordered_map unordered_set
utility valarray variant vector version
""".split())

# Time, chance, threads and the file system come in through arguments everywhere but in the agent.
OUTSIDE = set("""
barrier chrono condition_variable csignal ctime filesystem fstream future iostream latch mutex random semaphore
shared_mutex stop_token thread cerrno
""".split())

POSIX = re.compile(r"^(sys|linux|netinet|arpa|net)/|^(unistd|fcntl|poll|signal|dirent|netdb|pthread|spawn|termios|errno|"
                   r"pwd|grp|dlfcn|ifaddrs|sched|time|limits|stdlib|stdio|string)\.h$")

# Third-party header -> the layer (or layers, whose purposes have nothing in common) that may include it. Everybody else goes through it.
THIRD_PARTY = {
    r"xxhash\.h": "common/core",
    r"msgpack\.hpp": "common/codec",
    r"zstd(_errors)?\.h": "common/codec",
    r"sqlite3(ext)?\.h": "common/sqlite",
    r"uv\.h": "agent/loop",
    r"nats/.*": "agent/nats",
    r"toml\.hpp": "agent/config",
    r"CLI/.*": "agent/cli",
    r"(spdlog|fmt)/.*": "agent/report",
    # JetStream's API, what is kept in small files, and the faces. What lies between them speaks in structs.
    r"nlohmann/.*": ("agent/nats", "agent/control", "agent/daemon", "agent/cli", "common/mysql"),
    r"openssl/.*": ("agent/nats", "common/mysql"),
    r"arpa/inet\.h": ("agent", "common/mysql"),  # inet_pton, inet_ntop: pure
    r"unicode/.*": "common/mysql",
    r"zlib\.h": "common/mysql",
    r"cctz/.*": "common/mysql",
    r"sodium\.h": "agent",
    r"doctest/.*": "tests",
}

# Layer -> (layers, or single headers of one, that it may include besides itself; whether it may reach outside).
LAYERS = {
    "common/base": ([], False),
    "common/core": (["common/base"], False),
    "common/codec": (["common/base", "common/core"], False),
    "common/sqlite": (["common/base", "common/core"], False),  # core: value.hpp, a value of exact storage class
    "common/mysql": (["common/base", "common/core"], False),
    "common/mysql/glue": (["common/base", "common/core", "common/sqlite", "common/mysql"], True),
    "common/replica": (["common/base", "common/core", "common/codec", "common/sqlite"], False),
    "common/node": (["common/base", "common/core", "common/codec", "common/replica/types.hpp"], False),
    "extension": (["common/base", "common/core", "common/sqlite", "common/replica", "common/mysql", "common/mysql/glue"], False),
    # The agent's rooms, lowest first. A wrong include fails here, a wrong call does not link. What a node does next is decided in
    # common/node: `database` and `replication` carry it out, and see neither versions nor what is in a unit.
    "agent/loop": (["common/base"], True),
    "agent/report": (["common/base"], True),
    "agent/nats": (["common/base"], True),
    "agent/config": (["common/base", "agent/report"], True),
    "agent/database": (["common/base", "common/core/hlc.hpp", "common/sqlite", "common/replica", "common/node", "agent/loop"], True),
    "agent/membership": (["common/base", "common/core", "common/codec", "common/replica", "common/node", "agent/loop", "agent/nats", "agent/database"], True),
    "agent/check": (["common/base", "common/sqlite", "common/replica", "agent/report", "agent/database"], True),
    "agent/snapshot": (["common/base", "common/codec", "common/sqlite", "common/replica", "common/node", "agent/loop", "agent/nats", "agent/database"], True),
    "agent/repair": (["common/base", "common/core", "common/codec", "common/replica", "common/node", "agent/loop", "agent/nats", "agent/database", "agent/membership"], True),
    "agent/replication": (["common/base", "common/codec/envelope.hpp", "common/sqlite", "common/replica", "common/node", "agent/loop", "agent/report", "agent/nats", "agent/config", "agent/database", "agent/membership", "agent/check", "agent/snapshot", "agent/repair"], True),
    "agent/control": (["common/base", "common/core", "common/replica", "agent/loop", "agent/config", "agent/snapshot", "agent/repair", "agent/replication"], True),
    "agent/daemon": (["common/base", "agent/loop", "agent/report", "agent/nats", "agent/config", "agent/database", "agent/replication", "agent/control"], True),
    "agent/cli": (["common/base", "common/core", "common/sqlite", "common/replica", "agent/report", "agent/config", "agent/check", "agent/control", "agent/daemon"], True),
}

# Made from sql/ by sql/embed.py; the statements that the two halves share.
GENERATED = {"sql.hpp": {"common/replica", "extension", "tests"}}

# Tests may look into every layer and use every library; examples are applications and know nothing of ours.
FREE = {"tests": True, "examples": False}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def layer_of(path):
    """The longest entry of the table that `path` (relative, with /) lies in."""
    known = [layer for layer in list(LAYERS) + list(FREE) if path == layer or path.startswith(layer + "/")]
    return max(known, key=len, default=None)


def third_party_layers(header):
    for pattern, layers in THIRD_PARTY.items():
        if re.fullmatch(pattern, header):
            return layers if isinstance(layers, tuple) else (layers,)
    return ()


def own_include_fault(root, layer, header):
    """Why a file of `layer` may not include our own "header"; None: it may."""
    if header in GENERATED:
        return None if layer in GENERATED[header] else f"the generated {header}"
    if not (root / header).is_file():
        return f'"{header}" is no file below the source root'
    target = layer_of(header)
    if layer in FREE:
        return None if FREE[layer] or target == layer else f"{target}: examples use only what is installed"
    if target == layer or target in LAYERS[layer][0] or header in LAYERS[layer][0]:
        return None
    return f"{target}: {layer} may include only {', '.join(LAYERS[layer][0]) or 'itself'}"


def system_include_fault(layer, header):
    owners = third_party_layers(header)
    if owners:
        allowed = layer in FREE or any(layer == owner or layer.startswith(owner + "/") for owner in owners)
        return None if allowed else f"<{header}> belongs to {' and '.join(owners)}"
    if header in PURE:
        return None
    if header in OUTSIDE or POSIX.match(header):
        return None if layer in FREE or LAYERS[layer][1] else f"<{header}> reaches outside: pass what it gives as an argument"
    return None if layer in FREE else f"<{header}> is not in the table"


def check(root):
    """One line a breach, and how many files were read."""
    faults, files = [], 0
    for path in sorted([*root.rglob("*.cpp"), *root.rglob("*.hpp")]):
        name = path.relative_to(root).as_posix()
        if re.match(r"(build[^/]*|\..*)/", name):
            continue
        files += 1
        layer = layer_of(name)
        if layer is None:
            faults.append(f"{name}: its folder is not in the table")
            continue
        for quote, header in INCLUDE.findall(path.read_text()):
            fault = own_include_fault(root, layer, header) if quote == '"' else system_include_fault(layer, header)
            if fault:
                faults.append(f"{name}: {fault}")
    return faults, files


class CheckerFindsBreaches(unittest.TestCase):
    """A checker that finds nothing proves nothing: each kind of breach, in a tree made for it."""

    def breach(self, name, include):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for known in ["common/core/key.hpp", "common/core/unit.hpp", "common/core/version.hpp", "common/codec/envelope.hpp", "common/codec/message.hpp", "agent/loop/uv.hpp", "extension/glue.hpp",
                          "agent/nats/wire.hpp", "agent/control/control.hpp", "common/replica/replica.hpp", "common/replica/types.hpp", "tests/help.hpp", name]:
                (root / known).parent.mkdir(parents=True, exist_ok=True)
                (root / known).touch()
            (root / name).write_text(f"#pragma once\n#  include {include}\n")
            return check(root)[0]

    def test_breaches(self):
        for name, include in [
            ("common/core/a.cpp", '"common/codec/message.hpp"'),
            ("common/core/a.cpp", "<chrono>"),
            ("common/core/a.hpp", "<thread>"),
            ("common/core/a.cpp", "<unistd.h>"),
            ("common/core/a.cpp", "<sys/socket.h>"),
            ("common/core/a.cpp", '"tests/help.hpp"'),
            ("common/core/a.cpp", '"key.hpp"'),
            ("common/replica/a.cpp", "<zstd.h>"),
            ("common/replica/a.cpp", "<sqlite3.h>"),
            ("common/replica/a.cpp", "<random>"),
            ("common/base/a.cpp", '"sql.hpp"'),
            ("common/node/a.cpp", '"common/replica/replica.hpp"'),
            ("extension/a.cpp", '"agent/loop/uv.hpp"'),
            ("extension/a.cpp", "<uv.h>"),
            ("agent/cli/a.cpp", '"extension/glue.hpp"'),
            ("agent/loop/a.cpp", '"agent/nats/wire.hpp"'),
            ("agent/nats/a.cpp", '"agent/loop/uv.hpp"'),
            ("agent/replication/a.cpp", "<uv.h>"),
            ("agent/replication/a.cpp", '"common/core/unit.hpp"'),
            ("agent/replication/a.cpp", '"common/codec/message.hpp"'),
            ("agent/database/a.cpp", '"common/core/version.hpp"'),
            ("agent/database/a.cpp", '"common/codec/message.hpp"'),
            ("agent/replication/a.cpp", "<nlohmann/json.hpp>"),
            ("agent/replication/a.cpp", '"agent/control/control.hpp"'),
            ("agent/cli/a.cpp", "<msgpack.hpp>"),
            ("agent/cli/a.cpp", "<boost/any.hpp>"),
            ("agent/a.cpp", "<string>"),
            ("elsewhere/a.cpp", "<string>"),
            ("examples/a.cpp", '"common/core/key.hpp"'),
        ]:
            self.assertTrue(self.breach(name, include), f"{name} includes {include}")

    def test_what_is_allowed(self):
        for name, include in [
            ("common/codec/a.cpp", '"common/core/key.hpp"'),
            ("common/codec/a.cpp", "<zstd.h>"),
            ("common/replica/a.cpp", '"sql.hpp"'),
            ("common/node/a.cpp", '"common/replica/types.hpp"'),
            ("agent/nats/a.cpp", "<nats/nats.h>"),
            ("agent/replication/a.cpp", '"common/codec/envelope.hpp"'),
            ("agent/loop/a.cpp", "<chrono>"),
            ("tests/unit/a.cpp", '"agent/loop/uv.hpp"'),
            ("tests/unit/a.cpp", "<zstd.h>"),
        ]:
            self.assertEqual(self.breach(name, include), [], f"{name} includes {include}")


def main():
    checker = unittest.defaultTestLoader.loadTestsFromTestCase(CheckerFindsBreaches)
    if not unittest.TextTestRunner(verbosity=0).run(checker).wasSuccessful():
        return 1
    faults, files = check(pathlib.Path(sys.argv[1]))
    for fault in faults:
        print(fault)
    print(f"{files} files, {len(faults)} breaches")
    return 1 if faults or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
