#include "module.h"

PyMODINIT_FUNC PyInit__networks_baseline() { return skelab::init_module("_networks_baseline"); }
