#include <lcms2.h>

// How pixels are laid out: macros of macros, which Swift cannot read.
static const cmsUInt32Number chatty_grey8 = TYPE_GRAY_8;
static const cmsUInt32Number chatty_rgb8 = TYPE_RGB_8;
static const cmsUInt32Number chatty_rgba8 = TYPE_RGBA_8;
static const cmsUInt32Number chatty_rgba16 = TYPE_RGBA_16;
static const cmsUInt32Number chatty_inks8 = TYPE_CMYK_8_REV;
