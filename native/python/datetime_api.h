// datetime.h, whose pointer to the API each file that includes it has for itself: it must import it.
#ifndef PONGO_PYTHON_DATETIME_API_H_
#define PONGO_PYTHON_DATETIME_API_H_

#include "python.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#include <datetime.h>
#pragma GCC diagnostic pop

#endif  // PONGO_PYTHON_DATETIME_API_H_
