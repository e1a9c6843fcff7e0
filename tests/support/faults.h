// Faults that end the program with a message.
#ifndef XR_TESTS_FAULTS_H
#define XR_TESTS_FAULTS_H

// Runs the fault in a process of its own; fails the test unless that ends with another status than
// 0 and a message on stderr that holds `words`.
void xr_test_finds(void (*fault)(void), const char *words);

#endif
