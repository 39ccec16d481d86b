#include "module.h"

PyMODINIT_FUNC PyInit__networks_avx512() { return skelab::init_module("_networks_avx512"); }
