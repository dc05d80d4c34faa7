// SPDX-License-Identifier: Apache-2.0
// A command that does nothing, the way others do something. Layer: agent.
#pragma once

/*
 * Main function of the agent's program where it is not the agent, but a command: it writes a line,
 * and reads from the image as the start of a program does. An emulated guest has translated, and
 * any guest has copied, what the next command needs.
 */
int warm_main(void);
