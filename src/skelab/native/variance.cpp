// Hands Python the variance of each column of a table, which `column_variances.h` computes.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <cstddef>

#include "column_variances.h"

namespace {

PyObject* variances_of(PyObject*, PyObject* source) {
    Py_buffer view;
    if (PyObject_GetBuffer(source, &view, PyBUF_SIMPLE) < 0) return nullptr;
    float answer[kColumns];
    const size_t count = size_t(view.len) / (kColumns * sizeof(float));
    column_variances(static_cast<const float*>(view.buf), count, answer);
    PyBuffer_Release(&view);
    return Py_BuildValue("(fff)", answer[0], answer[1], answer[2]);
}

PyMethodDef methods[] = {
    {"column_variances", variances_of, METH_O,
     "column_variances(rows) -> tuple\n\nOf three columns of float32."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef_Slot slots[] = {{0, nullptr}};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_variance", "The variance of columns, compiled.",
    0, methods, slots, nullptr, nullptr, nullptr,
};

}  // namespace

PyMODINIT_FUNC PyInit__variance() { return PyModuleDef_Init(&definition); }
