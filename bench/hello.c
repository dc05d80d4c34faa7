// SPDX-License-Identifier: Apache-2.0
// The program that runs in every sandbox of the comparison. Static; no work of its own.
#include <unistd.h>

int main(void)
{
    return write(1, "hello\n", 6) == 6 ? 0 : 1;
}
