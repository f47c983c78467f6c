// SPDX-License-Identifier: GPL-3.0-or-later
// What a hostile guest's tool would do: out of a chroot by the descriptor of a directory outside, and to a device by a
// node of its own. Says what it came to. Linked statically, since it runs in a guest that has no libraries.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const int root = ::open("/", O_RDONLY | O_DIRECTORY);
    ::mkdir("/walk", 0755);
    bool walked = ::chroot("/walk") == 0 && ::fchdir(root) == 0;
    for (int i = 0; walked && i < 64; ++i) walked = ::chdir("..") == 0;
    walked = walked && ::chroot(".") == 0;
    std::printf("outside: %s\n", walked && ::access(argv[1], F_OK) == 0 ? "reached" : "not reached");
    ::mknod("/device", S_IFCHR | 0666, ::makedev(1, 3));
    std::printf("device: %s\n", ::open("/device", O_RDWR) >= 0 ? "opened" : "not opened");
}
