"""libmarmot_core is pure: it calls no clock, thread, file, socket or random function.

    core_symbols.py NM ARCHIVE

Everything that the archive needs from outside has to be on the list below. A C function that is not there fails the test:
think whether a deterministic core may call it before adding it.
"""
import re
import subprocess
import sys

# Memory, strings, number formatting, floating point; the compiler's own helpers.
C_ALLOWED = re.compile(r"""
    mem(chr|cmp|cpy|move|set)
  | str(len|cmp|chr)
  | (__)?v?snprintf(_chk)?
  | (floor|ceil|trunc|round|ldexp|fmod)f?
  | __(memcpy|memmove|memset)_chk
  | __assert_fail | __stack_chk_fail | abort
  | __(gxx_personality_v0|dso_handle|cxa_\w+) | _Unwind_Resume | _GLOBAL_OFFSET_TABLE_ | __tls_get_addr
  | __(asan|ubsan|tsan|sanitizer|sancov|lsan)_\w+ | __sancov_lowest_stack | __(start|stop)___sancov_\w+ | __gcov_\w+
""", re.X)

# Of C++ everything except what reaches outside.
CXX_ALLOWED = re.compile(r"^(operator (new|delete)|(vtable|typeinfo|VTT)( name)? for |(non-virtual )?std::|__cxxabiv1::|__gnu_cxx::"
                         r"|guard variable for |marmot::)|^(void|bool|int|char|unsigned|long|\w+&?) std::")
CXX_REFUSED = re.compile(r"chrono|thread|mutex|condition_variable|future|semaphore|random_device|filesystem|"
                         r"filebuf|fstream|std::cout|std::cerr|std::clog|std::cin|ios_base|locale")


def refused(symbol):
    if re.fullmatch(r"\w+", symbol):
        return not C_ALLOWED.fullmatch(symbol)
    return not CXX_ALLOWED.search(symbol) or CXX_REFUSED.search(symbol) is not None


def names(nm, archive, option):
    out = subprocess.run([nm, "-C", option, archive], check=True, capture_output=True, text=True).stdout
    return {match.group(1) for match in re.finditer(r"^[0-9a-f ]*\s[A-Za-z] (.+)$", out, re.M)}


def main():
    # A test that lets everything pass proves nothing.
    for symbol in ["clock_gettime", "gettimeofday", "time", "pthread_create", "open", "fopen", "read", "write", "socket",
                   "rand", "getrandom", "getenv", "std::chrono::_V2::system_clock::now()", "std::thread::join()",
                   "std::random_device::_M_getval()", "std::basic_ofstream<char>::close()", "sqlite3_step", "stderr"]:
        assert refused(symbol), symbol
    for symbol in ["memcpy", "snprintf", "operator new(unsigned long)", "std::__throw_length_error(char const*)"]:
        assert not refused(symbol), symbol

    nm, archive = sys.argv[1:]
    defined = names(nm, archive, "--defined-only")
    needed = names(nm, archive, "--undefined-only") - defined
    faults = sorted(symbol for symbol in needed if refused(symbol))
    for symbol in faults:
        print(f"libmarmot_core calls {symbol}")
    print(f"{len(defined)} symbols defined, {len(needed)} needed, {len(faults)} refused")
    return 1 if faults or not defined else 0


if __name__ == "__main__":
    sys.exit(main())
