// Hands Python the poses of a plain `.skeleton` file; `skeleton_walk.h` reads them.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <cstdint>
#include <cstring>
#include <new>

#include "skeleton_walk.h"

namespace {

PyObject* memory(size_t size) { return PyByteArray_FromStringAndSize(nullptr, Py_ssize_t(size)); }

template <class Value>
Value* values(PyObject* memory) {
    return reinterpret_cast<Value*>(PyByteArray_AsString(memory));
}

// (frames, ids, poses of each id, frame numbers, slots, joints, tracking states), sorted by id.
PyObject* result(Scratch& scratch) {
    const size_t poses = scratch.poses.size();
    PyObject* ids = PyTuple_New(Py_ssize_t(scratch.ids.size()));
    PyObject* sizes = PyTuple_New(Py_ssize_t(scratch.ids.size()));
    PyObject* frames = memory(poses * sizeof(int32_t));
    PyObject* slots = memory(poses);
    PyObject* joints = memory(poses * kCoordinates * sizeof(double));
    PyObject* tracking = memory(poses * kJoints);
    bool complete = ids && sizes && frames && slots && joints && tracking;
    for (size_t i = 0, place = 0; complete && i < scratch.ids.size(); ++i) {
        Id& id = scratch.ids[i];
        PyObject* name = PyUnicode_DecodeASCII(id.text, Py_ssize_t(id.size), nullptr);
        PyObject* size = PyLong_FromSize_t(id.poses);
        complete = name && size;
        if (name) PyTuple_SetItem(ids, Py_ssize_t(i), name);
        if (size) PyTuple_SetItem(sizes, Py_ssize_t(i), size);
        id.place = place;
        place += id.poses;
    }
    for (size_t i = 0; complete && i < poses; ++i) {
        const Pose& pose = scratch.poses[i];
        const size_t place = scratch.ids[size_t(pose.body)].place++;
        values<int32_t>(frames)[place] = pose.frame;
        values<int8_t>(slots)[place] = pose.slot;
        std::memcpy(values<double>(joints) + place * kCoordinates,
                    scratch.joints.data() + i * kCoordinates, kCoordinates * sizeof(double));
        std::memcpy(values<int8_t>(tracking) + place * kJoints, pose.tracking, kJoints);
    }
    PyObject* all = complete ? Py_BuildValue("(iOOOOOO)", int(scratch.num_frames), ids, sizes, frames,
                                             slots, joints, tracking)
                             : nullptr;
    for (PyObject* part : {ids, sizes, frames, slots, joints, tracking}) Py_XDECREF(part);
    return all;
}

// The poses of a plain file; None for any other.
PyObject* parse(PyObject*, PyObject* source) {
    Py_buffer view;
    if (PyObject_GetBuffer(source, &view, PyBUF_SIMPLE) < 0) return nullptr;
    PyObject* answer = nullptr;
    try {
        KeptScratch kept;
        Scratch& scratch = *kept;
        if (read_plain(static_cast<const char*>(view.buf), size_t(view.len), scratch)) {
            answer = result(scratch);
        } else {
            answer = Py_NewRef(Py_None);
        }
    } catch (const std::bad_alloc&) {
        answer = PyErr_NoMemory();
    }
    PyBuffer_Release(&view);
    return answer;
}

PyMethodDef methods[] = {
    {"parse", parse, METH_O,
     "parse(data) -> tuple | None\n\nThe poses of a plain .skeleton file; None for any other."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef_Slot slots[] = {{0, nullptr}};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_skeleton_text", "The reader of .skeleton text, compiled.",
    0, methods, slots, nullptr, nullptr, nullptr,
};

}  // namespace

PyMODINIT_FUNC PyInit__skeleton_text() { return PyModuleDef_Init(&definition); }
