#define FLT_RADIX 2
#define FLT_MANT_DIG 24
#define FLT_DIG 6
#define DBL_MANT_DIG 53
#define DBL_DIG 15
#define LDBL_MANT_DIG 64
#define LDBL_DIG 18
