// The variance of each column of a table of float32, rounded step by step as numpy does it.
//
// The twin is `np.var(rows, axis=0)`: numpy adds along the first axis one row after the other, in
// float32. Needs `-ffp-contract=off`.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <cstddef>

namespace {

constexpr int kColumns = 3;

void variances(const float* rows, size_t count, float* answer) {
    const float number = float(count);
    float means[kColumns] = {0, 0, 0}, sums[kColumns] = {0, 0, 0};
    for (size_t i = 0; i < count; ++i) {
        for (int column = 0; column < kColumns; ++column) {
            means[column] += rows[i * kColumns + column];
        }
    }
    for (float& mean : means) mean /= number;
    for (size_t i = 0; i < count; ++i) {
        for (int column = 0; column < kColumns; ++column) {
            const float distance = rows[i * kColumns + column] - means[column];
            sums[column] += distance * distance;
        }
    }
    for (int column = 0; column < kColumns; ++column) answer[column] = sums[column] / number;
}

PyObject* column_variances(PyObject*, PyObject* source) {
    Py_buffer view;
    if (PyObject_GetBuffer(source, &view, PyBUF_SIMPLE) < 0) return nullptr;
    float answer[kColumns];
    const size_t count = size_t(view.len) / (kColumns * sizeof(float));
    variances(static_cast<const float*>(view.buf), count, answer);
    PyBuffer_Release(&view);
    return Py_BuildValue("(fff)", answer[0], answer[1], answer[2]);
}

PyMethodDef methods[] = {
    {"column_variances", column_variances, METH_O,
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
