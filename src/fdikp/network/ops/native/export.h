/* EXPORT marks what ctypes calls: libraries on Windows export nothing else. */
#ifndef FDIKP_EXPORT_H
#define FDIKP_EXPORT_H

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT
#endif

#endif
