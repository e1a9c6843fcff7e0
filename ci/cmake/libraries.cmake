# Libraries from the system. docs/dependencies.md says what each is for.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
pkg_check_modules(CJSON REQUIRED IMPORTED_TARGET libcjson)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp libwebpdemux)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(EDIT REQUIRED IMPORTED_TARGET libedit)

# Debian 12 has FLINT 2 with Arb and Calcium beside it; FLINT 3 holds all three.
find_library(FLINT_LIBRARY flint REQUIRED)
find_library(ARB_LIBRARY NAMES flint-arb arb)
find_library(CALCIUM_LIBRARY NAMES calcium)
set(xr_exact ${CALCIUM_LIBRARY} ${ARB_LIBRARY} ${FLINT_LIBRARY})
list(FILTER xr_exact EXCLUDE REGEX "NOTFOUND")
pkg_check_modules(GMP REQUIRED IMPORTED_TARGET gmp)

add_library(xr_libraries INTERFACE)
target_link_libraries(xr_libraries INTERFACE
  PkgConfig::OPENBLAS PkgConfig::CJSON PkgConfig::PNG PkgConfig::JPEG PkgConfig::WEBP
  PkgConfig::ZLIB PkgConfig::CURL PkgConfig::UTF8PROC PkgConfig::XXHASH ${xr_exact} PkgConfig::GMP
  Threads::Threads m)
