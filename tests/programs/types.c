// Every kind of C type as a parameter or member, and every place an argument can be in.
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

enum color { RED, GREEN = 5, BLUE = -1 };
enum small { TINY = 3 } __attribute__((packed));
typedef struct inner {
    int a;
    unsigned b : 3;
    int c : 5;
    uint8_t mac[6];
    char name[8];
} inner_t;
union number {
    int i;
    float f;
};
struct unseen;
struct node {
    struct node *next;
    inner_t in;
    enum color col;
    union number un;
    int (*callback)(int);
    const char *text;
    int grid[2][3];
    struct {
        int x;
        union {
            int y;
            char bytes[4];
        };
    };
    double d;
    struct unseen *unseen;
    enum small little;
    volatile long *const counter;
};
struct pair {
    int x;
    long y;
};
struct mixed {
    double d;
    long n;
};
struct big {
    long a, b, c;
};

int look(struct node *n, int i, const char *s, double d, enum color c) { return n->in.a + i + (int)d + c + s[0]; }
long places(struct pair p, struct big b, char c, float x, struct mixed m, short h, long l, int seventh, long eighth) {
    return p.x + p.y + b.b + c + (long)x + m.n + h + l + seventh + eighth;
}
struct big hidden(struct big *p, int k) {
    struct big copy = *p;
    copy.a += k;
    return copy;
}
static int twice(int n) { return n * 2; }

int main(void) {
    char text[] = "hello", other[] = "text";
    long counter = 77;
    struct node n = {
        .in = {7, 5, -3, {1, 2, 3, 4, 5, 6}, "inner"},
        .col = GREEN,
        .un = {.i = 9},
        .callback = twice,
        .text = text,
        .grid = {{1, 2, 3}, {4, 5, 6}},
        .x = 11,
        .y = 0x64636261,
        .d = 2.5,
        .little = TINY,
        .counter = &counter,
    };
    struct node m = {.next = &n, .in = {.a = 42}, .col = BLUE, .counter = &counter};
    struct pair p = {1, 2};
    struct big b = {10, 20, 30};
    struct mixed x = {1.5, 60};
    int r = look(&m, 3, other, 2.5, GREEN);
    long q = places(p, b, 'z', 1.5f, x, -7, 100, 8, 9);
    printf("%d %ld %ld\n", r, q, hidden(&b, 3).a);
    fflush(stdout);
    usleep(200000);
    return 0;
}
