// Functions with known arguments and results, called in a known order; then a pause, so that addresses
// can be named while the process lives.
#include <stdio.h>
#include <unistd.h>

long add(long a, int b) { return a + b; }
int step_one(int x) { return x + 1; }
int step_two(int x) { return x * 2; }
const char *greet(const char *name) { return name; }
long seven(long a, long b, long c, long d, long e, long f, long g) { return a + b + c + d + e + f + g; }

int main(int argc, char **argv) {
    // On the stack, where it can be read: pages that nobody has touched yet cannot.
    char name[] = "world";
    int x = step_two(step_one(argc));
    long sum = add(40, x - 2);
    printf("%ld %s ", sum, greet(name));
    printf("%ld\n", seven(1, 2, 3, 4, 5, 6, 7));
    fflush(stdout);
    usleep(400000);
    return 0;
}
