// The function-like part of GIFLIB's header is not for Swift; the rest is.
#include <stdbool.h>
#include <stddef.h>
#include <gif_lib.h>
