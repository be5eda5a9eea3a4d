// C++: base classes, methods, references, classes that are passed by address, namespaces.
#include <cstdio>
#include <unistd.h>

namespace zoo {
struct Named {
    const char *name;
    static int count;
};
int Named::count = 1;
struct Aged {
    int age = 0;
};
class Animal : public Named, public Aged {
  public:
    virtual ~Animal() {}
    __attribute__((noinline)) int feed(int grams) { return weight += grams; }
    int weight = 5;
};
struct Owned {
    int id;
    ~Owned() { asm volatile(""); }
};
enum class Mood : unsigned char { Calm = 1, Wild = 200 };
} // namespace zoo

__attribute__((noinline)) int visit(zoo::Animal &animal, zoo::Mood mood, zoo::Owned owned) {
    asm volatile("");
    return animal.age + (int)mood + owned.id;
}

int main() {
    char name[] = "Tiger";
    zoo::Animal tiger;
    tiger.name = name;
    tiger.age = 9;
    int fed = tiger.feed(30);
    printf("%d %d\n", fed, visit(tiger, zoo::Mood::Wild, zoo::Owned{4}));
    fflush(stdout);
    usleep(200000);
    return 0;
}
