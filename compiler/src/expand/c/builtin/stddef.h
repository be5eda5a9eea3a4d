/* glibc asks for single types with __need_ macros; without one, all are wanted. */
#if !defined __need_size_t && !defined __need_wchar_t && !defined __need_ptrdiff_t \
    && !defined __need_NULL && !defined __need_wint_t
#define __need_size_t
#define __need_wchar_t
#define __need_ptrdiff_t
#define __need_NULL
#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
typedef struct {
    long long __max_align_ll __attribute__((__aligned__(__alignof__(long long))));
    long double __max_align_ld __attribute__((__aligned__(__alignof__(long double))));
} max_align_t;
#endif
#endif
#ifdef __need_size_t
typedef __SIZE_TYPE__ size_t;
#undef __need_size_t
#endif
#ifdef __need_wchar_t
typedef __WCHAR_TYPE__ wchar_t;
#undef __need_wchar_t
#endif
#ifdef __need_ptrdiff_t
typedef __PTRDIFF_TYPE__ ptrdiff_t;
#undef __need_ptrdiff_t
#endif
#ifdef __need_wint_t
typedef __WINT_TYPE__ wint_t;
#undef __need_wint_t
#endif
#ifdef __need_NULL
#undef NULL
#define NULL ((void *)0)
#undef __need_NULL
#endif
