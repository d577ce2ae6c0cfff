"""Setup for all tests."""

import signal

# A shell makes background processes, and all processes that these start, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
