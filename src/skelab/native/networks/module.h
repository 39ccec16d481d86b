// The Python module of one instruction set; each is compiled from this file under a name of its own.
#pragma once

#include <Python.h>

#include <chrono>

#include "assemble.h"

namespace skelab {

constexpr char kCapsule[] = "skelab.program";

// ---------------------------------------------------------------------------------------------
// Reading what Python gives

// A buffer of the caller's, held until this goes.
class Buffer {
public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer(Buffer&& other) noexcept : view_(other.view_), held_(other.held_) { other.held_ = false; }
    ~Buffer() {
        if (held_) PyBuffer_Release(&view_);
    }

    // False, and an exception, unless it is contiguous and has whole values of so many bytes.
    bool open(PyObject* object, size_t value_size, bool writable = false) {
        const int flags = PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(object, &view_, flags) < 0) return false;
        held_ = true;
        if (size_t(view_.itemsize) == value_size) return true;
        PyErr_SetString(PyExc_ValueError, "a buffer of another type than expected");
        return false;
    }

    template <class Value>
    Value* start() const {
        return static_cast<Value*>(view_.buf);
    }
    size_t size() const { return size_t(view_.len / view_.itemsize); }

private:
    Py_buffer view_{};
    bool held_ = false;
};

inline bool read_numbers(PyObject* tuple, std::vector<int>& numbers) {
    for (Py_ssize_t i = 0; i < PyTuple_Size(tuple); ++i) {
        const long number = PyLong_AsLong(PyTuple_GetItem(tuple, i));
        if (PyErr_Occurred()) return false;
        numbers.push_back(int(number));
    }
    return !PyErr_Occurred();
}

inline bool read_step(PyObject* tuple, std::vector<Buffer>& buffers, StepDescription& step) {
    const char* name = nullptr;
    PyObject *numbers = nullptr, *arrays = nullptr;
    if (!PyArg_ParseTuple(tuple, "sO!O!", &name, &PyTuple_Type, &numbers, &PyTuple_Type, &arrays))
        return false;
    step.name = name;
    if (!read_numbers(numbers, step.numbers)) return false;
    for (Py_ssize_t i = 0; i < PyTuple_Size(arrays); ++i) {
        buffers.emplace_back();
        if (!buffers.back().open(PyTuple_GetItem(arrays, i), sizeof(float))) return false;
        step.arrays.push_back({buffers.back().start<const float>(), buffers.back().size()});
    }
    return true;
}

inline bool read_specs(PyObject* tuple, std::vector<TensorSpec>& specs) {
    for (Py_ssize_t i = 0; i < PyTuple_Size(tuple); ++i) {
        TensorSpec spec{};
        if (!PyArg_ParseTuple(PyTuple_GetItem(tuple, i), "iiii", &spec.slot, &spec.lanes,
                              &spec.stride, &spec.halo))
            return false;
        specs.push_back(spec);
    }
    return true;
}

// ---------------------------------------------------------------------------------------------
// The functions

inline void free_program(PyObject* capsule) {
    delete static_cast<AnyProgram*>(PyCapsule_GetPointer(capsule, kCapsule));
}

inline std::unique_ptr<AnyProgram> assemble_as(const std::string& precision, int channels, int joints,
                                               const std::vector<TensorSpec>& specs,
                                               const std::vector<StepDescription>& steps) {
    if (precision == "fp32") return assemble<float>(channels, joints, specs, steps);
#if defined(__AVX512BF16__)
    if (precision == "bf16") return assemble<Bf16>(channels, joints, specs, steps);
#endif
    throw std::invalid_argument("this instruction set does not multiply in " + precision);
}

inline PyObject* make_program(PyObject*, PyObject* arguments) {
    const char* precision = nullptr;
    int channels = 0, joints = 0;
    PyObject *tensors = nullptr, *steps = nullptr;
    if (!PyArg_ParseTuple(arguments, "siiO!O!", &precision, &channels, &joints, &PyTuple_Type,
                          &tensors, &PyTuple_Type, &steps))
        return nullptr;
    try {
        std::vector<TensorSpec> specs;
        std::vector<StepDescription> described(size_t(PyTuple_Size(steps)));
        std::vector<Buffer> buffers;
        if (!read_specs(tensors, specs)) return nullptr;
        for (size_t i = 0; i < described.size(); ++i)
            if (!read_step(PyTuple_GetItem(steps, Py_ssize_t(i)), buffers, described[i]))
                return nullptr;
        auto program = assemble_as(precision, channels, joints, specs, described);
        PyObject* capsule = PyCapsule_New(program.get(), kCapsule, free_program);
        if (capsule) program.release();
        return capsule;
    } catch (const std::invalid_argument& error) {
        PyErr_SetString(PyExc_ValueError, error.what());
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    }
    return nullptr;
}

inline bool describe_clips(const Buffer& buffer, const long long* shape, Clips& clips) {
    long long size = 1;
    for (int i = 0; i < 5; ++i) {
        if (shape[i] < 1 || shape[i] > (1LL << 30) || size > (1LL << 40)) size = -1;
        size *= shape[i];
    }
    if (size != (long long)buffer.size()) {
        PyErr_SetString(PyExc_ValueError, "clips of another shape than was said");
        return false;
    }
    clips = {buffer.start<const float>(), long(shape[0]), int(shape[1]),
             long(shape[2]),              int(shape[3]),  int(shape[4])};
    return true;
}

inline bool check_run(const AnyProgram& program, const Clips& clips, const Buffer& rows,
                      const Buffer& out) {
    bool fits = clips.channels == program.channels() && clips.joints == program.joints() &&
                out.size() == rows.size() * size_t(program.outputs(clips.frames));
    for (size_t i = 0; i < rows.size(); ++i) {
        const int32_t row = rows.start<const int32_t>()[i];
        fits = fits && row >= 0 && row < clips.clips * clips.bodies;
    }
    if (!fits) PyErr_SetString(PyExc_ValueError, "clips, rows or results that do not fit");
    return fits;
}

inline PyObject* run_program(PyObject*, PyObject* arguments) {
    PyObject *capsule = nullptr, *x = nullptr, *chosen = nullptr, *result = nullptr;
    long long shape[5];
    int threads = 1;
    if (!PyArg_ParseTuple(arguments, "OO(LLLLL)OOi", &capsule, &x, &shape[0], &shape[1], &shape[2],
                          &shape[3], &shape[4], &chosen, &result, &threads))
        return nullptr;
    auto* program = static_cast<AnyProgram*>(PyCapsule_GetPointer(capsule, kCapsule));
    Buffer joints, rows, out;
    Clips clips{};
    if (!program || !joints.open(x, sizeof(float)) || !rows.open(chosen, sizeof(int32_t)) ||
        !out.open(result, sizeof(float), true) || !describe_clips(joints, shape, clips) ||
        !check_run(*program, clips, rows, out))
        return nullptr;
    bool enough = true;
    PyThreadState* state = PyEval_SaveThread();
    try {
        program->run(clips, rows.start<const int32_t>(), long(rows.size()), out.start<float>(),
                     threads);
    } catch (const std::bad_alloc&) {
        enough = false;
    }
    PyEval_RestoreThread(state);
    if (!enough) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

inline PyObject* count_outputs(PyObject*, PyObject* arguments) {
    PyObject* capsule = nullptr;
    long long frames = 0;
    if (!PyArg_ParseTuple(arguments, "OL", &capsule, &frames)) return nullptr;
    auto* program = static_cast<AnyProgram*>(PyCapsule_GetPointer(capsule, kCapsule));
    return program ? PyLong_FromLong(program->outputs(long(frames))) : nullptr;
}

// One byte a body: whether any of its numbers is not zero.
inline PyObject* find_present(PyObject*, PyObject* arguments) {
    PyObject* x = nullptr;
    long long shape[5];
    if (!PyArg_ParseTuple(arguments, "O(LLLLL)", &x, &shape[0], &shape[1], &shape[2], &shape[3],
                          &shape[4]))
        return nullptr;
    Buffer joints;
    Clips clips{};
    if (!joints.open(x, sizeof(float)) || !describe_clips(joints, shape, clips)) return nullptr;
    PyObject* found = PyByteArray_FromStringAndSize(nullptr, clips.clips * clips.bodies);
    if (!found) return nullptr;
    char* present = PyByteArray_AsString(found);
    const long points = clips.channels * clips.frames * clips.joints;
    for (long row = 0; row < clips.clips * clips.bodies; ++row) {
        const float* x = clips.body(row);
        present[row] = 0;
        for (long i = 0; i < points && !present[row]; ++i) present[row] = x[i * clips.bodies] != 0;
    }
    return found;
}

// Rounds of as many independent sums as hide each other's latency; they stay in the registers.
__attribute__((noinline)) inline Vector add_rounds(const float* start, Vector factor, long rounds) {
    constexpr int kSums = kRegisters == 32 ? 24 : 12;
    Vector sums[kSums], whole{};
    const Vector term = load(start);
    SKELAB_UNROLL for (int k = 0; k < kSums; ++k) sums[k] = load(start + k);
    for (long i = 0; i < rounds; ++i)
        SKELAB_UNROLL for (int k = 0; k < kSums; ++k) sums[k] = sums[k] * factor + term;
    SKELAB_UNROLL for (int k = 0; k < kSums; ++k) whole += sums[k];
    return whole;
}

// Multiplications and additions a second that one core reaches when nothing else holds it up.
inline PyObject* measure_peak(PyObject*, PyObject*) {
    constexpr int kSums = kRegisters == 32 ? 24 : 12;
    constexpr long kRounds = 20000;  // so few that other programs spare some attempt
    float start[kSums + kLanes];  // different, lest all sums be one
    for (int i = 0; i < kSums + kLanes; ++i) start[i] = 1e-6f * float(i + 1);
    double best = 1e9;
    for (int attempt = 0; attempt < 100; ++attempt) {
        const auto before = std::chrono::steady_clock::now();
        volatile float sink = add_rounds(start, broadcast(0.999999f), kRounds)[0];
        (void)sink;
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - before;
        best = std::min(best, seconds.count());
    }
    return PyFloat_FromDouble(2.0 * kLanes * kSums * kRounds / best);
}

// The instruction sets that this processor has, of those that modules are compiled for.
inline PyObject* list_supported(PyObject*, PyObject*) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq");
    const bool bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
    return Py_BuildValue("(OOO)", avx2 ? Py_True : Py_False, avx512 ? Py_True : Py_False,
                         bf16 ? Py_True : Py_False);
#else
    return Py_BuildValue("(OOO)", Py_False, Py_False, Py_False);
#endif
}

inline PyMethodDef methods[] = {
    {"make_program", make_program, METH_VARARGS,
     "make_program(precision, channels, joints, tensors, steps) -> program"},
    {"run_program", run_program, METH_VARARGS,
     "run_program(program, clips, shape, rows, out, threads)\n\nBodies `rows` of the clips."},
    {"count_outputs", count_outputs, METH_VARARGS,
     "count_outputs(program, frames) -> numbers that come out for a body"},
    {"find_present", find_present, METH_VARARGS,
     "find_present(clips, shape) -> one byte a body: whether it is there"},
    {"measure_peak", measure_peak, METH_NOARGS,
     "measure_peak() -> floating-point operations a second of one core"},
    {"list_supported", list_supported, METH_NOARGS,
     "list_supported() -> whether the processor has AVX2, AVX-512, AVX-512 with BF16"},
    {nullptr, nullptr, 0, nullptr},
};

inline int add_constants(PyObject* module) { return PyModule_AddIntConstant(module, "LANES", kLanes); }

inline PyModuleDef_Slot slots[] = {{Py_mod_exec, reinterpret_cast<void*>(add_constants)},
                                   {0, nullptr}};

inline PyObject* init_module(const char* name) {
    static PyModuleDef definition = {
        PyModuleDef_HEAD_INIT, name, "Networks, compiled for one instruction set.",
        0, methods, slots, nullptr, nullptr, nullptr,
    };
    return PyModuleDef_Init(&definition);
}

}  // namespace skelab
