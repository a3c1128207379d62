// The one place that chooses how SQLite is reached: linked (agent, tests) or through the host's table of functions
// (the loadable extension, compiled from the same sources with MARMOT_EXTENSION).
#pragma once

#ifdef MARMOT_EXTENSION
#include <sqlite3ext.h>
// Set by the entry point before anything else runs (SQLITE_EXTENSION_INIT1 is in extension/entry.cpp).
extern "C" const sqlite3_api_routines* sqlite3_api;
#else
#include <sqlite3.h>
#endif
