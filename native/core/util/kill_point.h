// Places where a test ends the process, to see what a crash between two stores leaves. Nothing in a build for users.
#ifndef PONGO_UTIL_KILL_POINT_H_
#define PONGO_UTIL_KILL_POINT_H_

#ifdef PONGO_KILL_POINTS
namespace pongo {
inline void (*kill_point_hook)() = nullptr;
}
#define PONGO_KILL_POINT()                                          \
  do {                                                              \
    if (::pongo::kill_point_hook != nullptr) [[unlikely]] ::pongo::kill_point_hook(); \
  } while (0)
#else
#define PONGO_KILL_POINT() static_cast<void>(0)
#endif

#endif  // PONGO_UTIL_KILL_POINT_H_
