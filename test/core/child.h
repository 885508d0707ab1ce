// Tests that need another process: a piece of the test itself, run in a forked child.
#ifndef PONGO_TEST_CORE_CHILD_H_
#define PONGO_TEST_CORE_CHILD_H_

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "harness.h"

namespace pongo::test {

inline constexpr unsigned kChildSeconds = 60;  // a child that hangs is ended by SIGALRM

// Runs body() in a child; its wait status: 0 when it returned 0. The child ends without destructors of what it inherited.
template <class F>
pid_t StartChild(F&& body) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) std::abort();
  if (pid == 0) {
    alarm(kChildSeconds);
    const int result = body();
    std::fflush(nullptr);
    _exit(result);
  }
  return pid;
}

inline int AwaitChild(pid_t pid) {
  int status = -1;
  if (waitpid(pid, &status, 0) != pid) std::abort();
  return status;
}

template <class F>
int RunInChild(F&& body) {
  return AwaitChild(StartChild(body));
}

inline bool Killed(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL; }

// Both ends of a pipe. Reading blocks until the other side has written, or all its writers are gone.
class Pipe {
 public:
  Pipe() {
    if (pipe2(fds_, O_CLOEXEC) != 0) std::abort();
  }
  ~Pipe() {
    CloseReader();
    CloseWriter();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  template <class T>
  void Send(const T& value) {
    if (write(fds_[1], &value, sizeof value) != static_cast<ssize_t>(sizeof value)) std::abort();
  }
  // False when nobody can write any more.
  template <class T>
  bool Receive(T* value) {
    return read(fds_[0], value, sizeof *value) == static_cast<ssize_t>(sizeof *value);
  }
  void CloseReader() { Close(&fds_[0]); }
  void CloseWriter() { Close(&fds_[1]); }

 private:
  static void Close(int* fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
  }
  int fds_[2];
};

}  // namespace pongo::test

#endif  // PONGO_TEST_CORE_CHILD_H_
