// Counts the frames of each clip of a batch that have values; cuts a stretch out of each, resizes
// it in time, turns it, and lays it out as a network takes it, in one pass over the frames that
// are needed.
//
// The twin is `CropResize.apply`, `RandomRotation.apply` and a permutation, in torch. Every sum
// and product here is rounded like there, one by one, so that both give the same bits; this needs
// `-ffp-contract=off`.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <new>
#include <vector>

#include "numpy_sum.h"

namespace {

// So that a step is compiled anew, with their instructions, into each function that takes it.
#define SKELAB_INLINE inline __attribute__((always_inline))

// One row of the table that describes the batch.
struct Clip {
    int64_t first;   // its first pose in the values
    int64_t frames;  // of each of its bodies, one body behind the other
    int64_t bodies;
    int64_t start, length;  // the stretch
};
static_assert(sizeof(Clip) == 5 * sizeof(int64_t), "a row is five numbers");

struct Shape {
    int64_t window, bodies, joints, axes;  // of what comes out
};

// Where a frame that comes out lies between two frames of the stretch.
struct Place {
    int64_t before, after;
    float share;
};

SKELAB_INLINE void find_places(const Clip& clip, std::vector<Place>& places) {
    const double window = double(places.size()), length = double(clip.length);
    for (size_t i = 0; i < places.size(); ++i) {
        const double position = std::max((double(i) + 0.5) * length / window - 0.5, 0.0);
        const double before = std::floor(position);
        const int64_t number = int64_t(before);
        const int64_t after = std::min(number + 1, clip.length - 1);
        places[i] = {clip.start + number, clip.start + after, float(position - before)};
    }
}

SKELAB_INLINE void blend(const float* before, const float* after, float share, int64_t size, float* pose) {
    const float rest = 1.0f - share;
    for (int64_t i = 0; i < size; ++i) pose[i] = before[i] * rest + after[i] * share;
}

// The values of all joints, axis after axis.
SKELAB_INLINE void split(const float* pose, int64_t joints, int64_t axes, float* planes) {
    for (int64_t axis = 0; axis < axes; ++axis, planes += joints) {
        for (int64_t joint = 0; joint < joints; ++joint) planes[joint] = pose[joint * axes + axis];
    }
}

SKELAB_INLINE void turn(const float* matrix, int64_t joints, float* x) {
    float* const y = x + joints;
    float* const z = y + joints;
    const float ax = matrix[0], ay = matrix[1], az = matrix[2];
    const float bx = matrix[3], by = matrix[4], bz = matrix[5];
    const float cx = matrix[6], cy = matrix[7], cz = matrix[8];
    for (int64_t i = 0; i < joints; ++i) {
        const float old_x = x[i], old_y = y[i], old_z = z[i];
        x[i] = ax * old_x + ay * old_y + az * old_z;
        y[i] = bx * old_x + by * old_y + bz * old_z;
        z[i] = cx * old_x + cy * old_y + cz * old_z;
    }
}

// Writes joints of all bodies side by side; `planes` has them body after body.
SKELAB_INLINE void interleave(const float* planes, int64_t body_size, const Shape& shape, float* cells) {
    if (shape.bodies == 2) {  // the usual number, and quicker when known
        const float* other = planes + body_size;
        for (int64_t joint = 0; joint < shape.joints; ++joint) {
            cells[2 * joint] = planes[joint];
            cells[2 * joint + 1] = other[joint];
        }
        return;
    }
    for (int64_t body = 0; body < shape.bodies; ++body, planes += body_size) {
        for (int64_t joint = 0; joint < shape.joints; ++joint) {
            cells[joint * shape.bodies + body] = planes[joint];
        }
    }
}

// Memory of one frame.
struct Frame {
    std::vector<float> pose;    // of one body: joints, axes
    std::vector<float> planes;  // of all bodies: bodies, axes, joints
};

// Fills axes, window, joints, bodies of one clip.
SKELAB_INLINE void resample_with(const Clip& clip, const float* values, const float* matrix,
                                 const Shape& shape, std::vector<Place>& places, Frame& frame,
                                 float* out) {
    const int64_t size = shape.joints * shape.axes;
    const int64_t present = std::min(clip.bodies, shape.bodies);
    std::fill(frame.planes.begin() + present * size, frame.planes.end(), 0.0f);
    find_places(clip, places);
    for (const Place& place : places) {
        const float* track = values + clip.first * size;
        for (int64_t body = 0; body < present; ++body, track += clip.frames * size) {
            float* planes = frame.planes.data() + body * size;
            blend(track + place.before * size, track + place.after * size, place.share, size,
                  frame.pose.data());
            split(frame.pose.data(), shape.joints, shape.axes, planes);
            if (matrix) turn(matrix, shape.joints, planes);
        }
        float* cells = out;
        for (int64_t axis = 0; axis < shape.axes; ++axis) {
            interleave(frame.planes.data() + axis * shape.joints, size, shape, cells);
            cells += shape.window * shape.joints * shape.bodies;
        }
        out += shape.joints * shape.bodies;
    }
}

using Resample = void (*)(const Clip&, const float*, const float*, const Shape&,
                          std::vector<Place>&, Frame&, float*);

#if defined(__SSE2__)
// Twice as many values at a time; without the fused steps that would be rounded once.
__attribute__((target("avx2"))) void resample_with_avx2(const Clip& clip, const float* values,
                                                        const float* matrix, const Shape& shape,
                                                        std::vector<Place>& places, Frame& frame,
                                                        float* out) {
    resample_with(clip, values, matrix, shape, places, frame, out);
}
#endif

void resample_portably(const Clip& clip, const float* values, const float* matrix,
                       const Shape& shape, std::vector<Place>& places, Frame& frame, float* out) {
    resample_with(clip, values, matrix, shape, places, frame, out);
}

// The quickest that this processor has.
Resample best_resample() {
#if defined(__SSE2__)
    if (__builtin_cpu_supports("avx2")) return resample_with_avx2;
#endif
    return resample_portably;
}

bool fits(const Clip& clip, int64_t poses) {
    return clip.first >= 0 && clip.frames > 0 && clip.bodies > 0 && clip.start >= 0 &&
           clip.length > 0 && clip.length <= clip.frames - clip.start &&
           clip.frames <= poses / clip.bodies && clip.first <= poses - clip.frames * clip.bodies;
}

bool consistent(const Py_buffer& values, const Py_buffer& clips, const Py_buffer& matrices,
                const Py_buffer& out, const Shape& shape) {
    if (shape.window < 1 || shape.bodies < 1 || shape.joints < 1 || shape.axes < 1) return false;
    const int64_t pose = shape.joints * shape.axes;
    const int64_t count = clips.len / int64_t(sizeof(Clip));
    const int64_t turned = 9 * count * int64_t(sizeof(float));
    const int64_t filled = count * shape.window * shape.bodies * pose * int64_t(sizeof(float));
    if (out.len != filled || (matrices.len && (matrices.len != turned || shape.axes != 3))) {
        return false;
    }
    const int64_t poses = values.len / int64_t(sizeof(float)) / pose;
    const Clip* clip = static_cast<const Clip*>(clips.buf);
    return std::all_of(clip, clip + count, [poses](const Clip& one) { return fits(one, poses); });
}

PyObject* resample_batch(const Py_buffer& values, const Py_buffer& clips,
                         const Py_buffer& matrices, const Py_buffer& out, const Shape& shape) {
    if (!consistent(values, clips, matrices, out, shape)) {
        PyErr_SetString(PyExc_ValueError, "the clips do not lie in the values, or sizes differ");
        return nullptr;
    }
    const Clip* clip = static_cast<const Clip*>(clips.buf);
    const float* matrix = matrices.len ? static_cast<const float*>(matrices.buf) : nullptr;
    float* filled = static_cast<float*>(out.buf);
    std::vector<Place> places(size_t(shape.window));
    Frame frame;
    frame.pose.resize(size_t(shape.joints * shape.axes));
    frame.planes.resize(frame.pose.size() * size_t(shape.bodies));
    const int64_t size = shape.axes * shape.window * shape.joints * shape.bodies;
    const int64_t count = clips.len / int64_t(sizeof(Clip));
    static const Resample resample = best_resample();
    for (int64_t i = 0; i < count; ++i) {
        resample(clip[i], static_cast<const float*>(values.buf), matrix ? matrix + 9 * i : nullptr,
                 shape, places, frame, filled + i * size);
    }
    return Py_NewRef(Py_None);
}

PyObject* resample_buffers(PyObject*, PyObject* arguments) {
    Py_buffer values, clips, matrices, out;
    int window = 0, bodies = 0, joints = 0, axes = 0;
    if (!PyArg_ParseTuple(arguments, "y*y*y*w*iiii", &values, &clips, &matrices, &out, &window,
                          &bodies, &joints, &axes)) {
        return nullptr;
    }
    PyObject* answer = nullptr;
    try {
        answer = resample_batch(values, clips, matrices, out, {window, bodies, joints, axes});
    } catch (const std::bad_alloc&) {
        answer = PyErr_NoMemory();
    }
    for (Py_buffer* buffer : {&values, &clips, &matrices, &out}) PyBuffer_Release(buffer);
    return answer;
}

// ---------------------------------------------------------------------------------------------
// Counting

// Where the poses of a clip lie; one row of the table.
struct Extent {
    int64_t first, frames, bodies;
};
static_assert(sizeof(Extent) == 3 * sizeof(int64_t), "a row is three numbers");

// Frames of which the sum over all bodies is not zero; `row` has room for a frame.
int64_t count_filled(const Extent& clip, const float* values, size_t pose, float* row) {
    const float* track = values + size_t(clip.first) * pose;
    int64_t filled = 0;
    for (int64_t frame = 0; frame < clip.frames; ++frame, track += pose) {
        if (clip.bodies == 1) {
            filled += numpy_sum(track, pose) != 0.0f;
            continue;
        }
        for (int64_t body = 0; body < clip.bodies; ++body) {
            const float* own = track + size_t(body * clip.frames) * pose;
            std::copy(own, own + pose, row + size_t(body) * pose);
        }
        filled += numpy_sum(row, size_t(clip.bodies) * pose) != 0.0f;
    }
    return filled;
}

PyObject* count_in_batch(const Py_buffer& values, const Py_buffer& clips, const Py_buffer& out,
                         int pose) {
    const size_t count = size_t(clips.len) / sizeof(Extent);
    const Extent* clip = static_cast<const Extent*>(clips.buf);
    const int64_t poses = pose < 1 ? 0 : values.len / int64_t(sizeof(float)) / pose;
    int64_t most = 0;
    for (size_t i = 0; i < count; ++i) {
        const Clip whole = {clip[i].first, clip[i].frames, clip[i].bodies, 0, clip[i].frames};
        if (!fits(whole, poses)) most = -1;
        if (most >= 0) most = std::max(most, clip[i].bodies);
    }
    if (most < 0 || size_t(out.len) != count * sizeof(int64_t)) {
        PyErr_SetString(PyExc_ValueError, "the clips do not lie in the values, or sizes differ");
        return nullptr;
    }
    std::vector<float> row(size_t(most) * size_t(pose));
    int64_t* counts = static_cast<int64_t*>(out.buf);
    for (size_t i = 0; i < count; ++i) {
        counts[i] =
            count_filled(clip[i], static_cast<const float*>(values.buf), size_t(pose), row.data());
    }
    return Py_NewRef(Py_None);
}

PyObject* count_buffers(PyObject*, PyObject* arguments) {
    Py_buffer values, clips, out;
    int pose = 0;
    if (!PyArg_ParseTuple(arguments, "y*y*w*i", &values, &clips, &out, &pose)) return nullptr;
    PyObject* answer = nullptr;
    try {
        answer = count_in_batch(values, clips, out, pose);
    } catch (const std::bad_alloc&) {
        answer = PyErr_NoMemory();
    }
    for (Py_buffer* buffer : {&values, &clips, &out}) PyBuffer_Release(buffer);
    return answer;
}

PyMethodDef methods[] = {
    {"count_filled", count_buffers, METH_VARARGS,
     "count_filled(values, clips, out, pose)\n\nFill out with the frames that have values."},
    {"resample", resample_buffers, METH_VARARGS,
     "resample(values, clips, matrices, out, window, bodies, joints, axes)\n\nFill out."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef_Slot slots[] = {{0, nullptr}};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_resample", "Crop, resize and turn the clips of a batch, compiled.",
    0, methods, slots, nullptr, nullptr, nullptr,
};

}  // namespace

PyMODINIT_FUNC PyInit__resample() { return PyModuleDef_Init(&definition); }
