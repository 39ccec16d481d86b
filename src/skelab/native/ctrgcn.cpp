// From the text of NTU RGB+D recordings to the clips of CTR-GCN's preprocessing, in one go and
// without the interpreter's lock: read, parse, choose bodies, drop empty frames, translate.
//
// The twin is `skelab/data/pipelines/ctrgcn.py`, step by step and name by name; there it is said
// what the steps are for. Every sum and comparison is float32 and in its order, which needs
// `-ffp-contract=off`. Whatever is unusual (a file that `skeleton_walk.h` does not read, a body
// that stands twice in a frame, nothing left, a coordinate of kilometres) is not prepared here:
// the twin decides, with its values and its words.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "column_variances.h"
#include "numpy_sum.h"
#include "skeleton_walk.h"

namespace {

constexpr size_t kMinFrames = 12;      // of a body in a recording of several
constexpr float kMaxSpread = 0.8f;     // width over height of a plausible pose
constexpr double kMaxInvalid = 0.69754;  // share of a body's frames that may exceed the spread
constexpr double kFar = 1e6;           // metres; beyond this, squares are left to the twin
constexpr size_t kFirstText = size_t(1) << 20;  // bytes

// One body id of a recording, after its frames were closed up.
struct Body {
    const float* joints;  // frames, 25, 3
    size_t start, frames;
    double motion;

    int64_t first() const { return int64_t(start); }
    int64_t last() const { return int64_t(start + frames) - 1; }
};

// What is chosen for an actor, and the stretch that it covers.
struct Actor {
    std::vector<Body*> bodies;
    int64_t first = 0, last = 0;

    bool is_free(const Body& body) const {  // a shared frame is no overlap
        return std::min(last, body.last()) - std::max(first, body.first()) <= 0;
    }

    void take(Body& body) {
        bodies.push_back(&body);
        first = std::min(first, body.first());
        last = std::max(last, body.last());
    }
};

// All clips of a call, one behind the other.
struct Clips {
    std::vector<int32_t> shapes;   // bodies and frames of each; zeros where it is the twin's
    std::vector<float> joints;     // bodies, frames, 25, 3 of each
    std::vector<int32_t> numbers;  // of the frames of each
};

bool is_zero(const float* values, size_t size) {
    return std::all_of(values, values + size, [](float value) { return value == 0.0f; });
}

class Preparation {
  public:
    Preparation(Scratch& recording, size_t origin) : recording_(recording), origin_(origin) {}

    // Appends the clip; false where it is the twin's to decide.
    bool append_to(Clips& clips) {
        number_frames();
        if (!close_up()) return false;
        size_t places = 1;
        if (bodies_.size() > 1) {
            if (!choose()) return false;
            places = left_.size() > 1 ? 2 : 1;
        } else {
            left_ = {&bodies_[0]};
            actors_[0].bodies = left_;
            actors_[1].bodies.clear();
        }
        place(places);
        if (bodies_.size() > 1) drop_empty_frames(places);
        return translate(places, clips);
    }

  private:
    // The numbers of the frames in which some body stands, and of each pose which one it is.
    void number_frames() {
        present_.clear();
        order_.clear();
        for (const Pose& pose : recording_.poses) {
            if (present_.empty() || present_.back() != pose.frame) present_.push_back(pose.frame);
            order_.push_back(present_.size() - 1);
        }
    }

    // Each body from its first frame on, frame after frame, absences closed up; in float32.
    bool close_up() {
        const std::vector<Pose>& poses = recording_.poses;
        values_.resize(poses.size() * kCoordinates);
        bodies_.clear();
        size_t place = 0;
        for (Id& id : recording_.ids) {
            id.place = place;
            bodies_.push_back({values_.data() + place * kCoordinates, 0, id.poses, 0.0});
            place += id.poses;
        }
        for (size_t i = poses.size(); i-- > 0;) {  // from behind, so that the first frame stays
            bodies_[size_t(poses[i].body)].start = order_[i];
        }
        double furthest = 0;
        for (size_t i = 0; i < poses.size(); ++i) {
            const double* from = recording_.joints.data() + i * kCoordinates;
            float* to = values_.data() +
                        recording_.ids[size_t(poses[i].body)].place++ * kCoordinates;
            for (int value = 0; value < kCoordinates; ++value) {
                const double size = std::fabs(from[value]);
                furthest = size > furthest ? size : furthest;
                to[value] = float(from[value]);
            }
        }
        return furthest <= kFar &&
               std::all_of(bodies_.begin(), bodies_.end(), [this](const Body& body) {
                   return size_t(body.last()) < present_.size();
               });
    }

    // Which bodies are the actors.
    bool choose() {
        left_.clear();
        for (Body& body : bodies_) {
            if (body.frames >= kMinFrames) left_.push_back(&body);
        }
        if (left_.empty()) return false;
        if (left_.size() > 1) {
            for (Body* body : left_) body->motion = variance(body->joints, body->frames);
            filter_by_spread();
        }
        std::stable_sort(left_.begin(), left_.end(),
                         [](const Body* a, const Body* b) { return a->motion > b->motion; });
        for (Actor& actor : actors_) {
            actor.bodies.clear();
            actor.first = actor.last = 0;  // the second one is covered from frame 0 on
        }
        actors_[0].bodies.push_back(left_[0]);
        actors_[0].first = left_[0]->first();
        actors_[0].last = left_[0]->last();
        for (size_t i = 1; i < left_.size(); ++i) {
            for (Actor& actor : actors_) {
                if (!actor.is_free(*left_[i])) continue;
                actor.take(*left_[i]);
                break;
            }
        }
        return true;
    }

    static double variance(const float* joints, size_t frames) {
        float found[kColumns];
        column_variances(joints, frames * kJoints, found);
        return double(found[0] + found[1] + found[2]);
    }

    // Drops bodies that do not look like one; of others the motion of plausible frames counts.
    void filter_by_spread() {
        const std::vector<Body*> all = left_;
        for (Body* body : all) {
            if (left_.size() == 1) return;
            plausible_.clear();
            for (size_t frame = 0; frame < body->frames; ++frame) {
                const float* pose = body->joints + frame * kCoordinates;
                if (!is_plausible(pose)) continue;
                plausible_.insert(plausible_.end(), pose, pose + kCoordinates);
            }
            const size_t valid = plausible_.size() / kCoordinates;
            const size_t invalid = body->frames - valid;
            if (!invalid) continue;
            if (double(invalid) / double(body->frames) >= kMaxInvalid) {
                left_.erase(std::find(left_.begin(), left_.end(), body));
            } else {
                body->motion = std::min(body->motion, variance(plausible_.data(), valid));
            }
        }
    }

    // Whether a pose is at most 0.8 times as wide as it is high.
    static bool is_plausible(const float* pose) {
        constexpr int kTogether = 12;  // values of four joints; the last joint is looked at alone
        float low[kTogether], high[kTogether];
        for (int i = 0; i < kTogether; ++i) low[i] = high[i] = pose[i];
        for (int from = kTogether; from + kTogether <= kCoordinates; from += kTogether) {
            for (int i = 0; i < kTogether; ++i) {
                const float value = pose[from + i];
                low[i] = value < low[i] ? value : low[i];
                high[i] = value > high[i] ? value : high[i];
            }
        }
        float extent[2];
        for (int axis = 0; axis < 2; ++axis) {
            float least = pose[kCoordinates - 3 + axis], most = least;
            for (int i = axis; i < kTogether; i += 3) {
                least = std::min(least, low[i]);
                most = std::max(most, high[i]);
            }
            extent[axis] = most - least;
        }
        return extent[0] <= kMaxSpread * extent[1];
    }

    // The actors on the time axis; later bodies overwrite a frame that they share.
    void place(size_t places) {
        const size_t size = present_.size() * kCoordinates;
        joints_.assign(places * size, 0.0f);
        for (size_t number = 0; number < places; ++number) {
            for (const Body* body : actors_[number].bodies) {
                std::copy(body->joints, body->joints + body->frames * kCoordinates,
                          joints_.data() + number * size + body->start * kCoordinates);
            }
        }
    }

    // Takes out the frames of which the sum over both actors is exactly zero.
    void drop_empty_frames(size_t places) {
        const size_t frames = present_.size();
        float row[2 * kCoordinates];
        kept_.clear();
        for (size_t frame = 0; frame < frames; ++frame) {
            for (size_t number = 0; number < places; ++number) {
                std::memcpy(row + number * kCoordinates, pose(number, frame, frames),
                            sizeof(float) * kCoordinates);
            }
            if (numpy_sum(row, places * kCoordinates) != 0.0f) kept_.push_back(frame);
        }
        if (kept_.size() == frames) return;
        size_t to = 0;
        for (size_t number = 0; number < places; ++number) {
            for (size_t frame : kept_) {
                std::memmove(joints_.data() + kCoordinates * to++, pose(number, frame, frames),
                             sizeof(float) * kCoordinates);
            }
        }
        for (size_t i = 0; i < kept_.size(); ++i) present_[i] = present_[kept_[i]];
        present_.resize(kept_.size());
    }

    // Moves the origin and appends; false where actor 1 has no value.
    bool translate(size_t places, Clips& clips) const {
        const size_t frames = present_.size(), size = frames * kCoordinates;
        size_t first = 0;
        while (first < frames && is_zero(pose(0, first, frames), kCoordinates)) ++first;
        if (first == frames) return false;
        const float* origin = pose(0, first, frames) + 3 * origin_;
        float moved[kCoordinates];
        for (int i = 0; i < kCoordinates; ++i) moved[i] = origin[i % 3];
        const size_t start = clips.joints.size();
        clips.joints.resize(start + places * size);
        size_t present = places;
        for (size_t number = 0; number < places; ++number) {
            float* to = clips.joints.data() + start + number * size;
            for (size_t frame = 0; frame < frames; ++frame, to += kCoordinates) {
                const float* from = pose(number, frame, frames);
                if (places > 1 && numpy_sum(from, kCoordinates) == 0.0f) continue;  // stays zero
                for (int i = 0; i < kCoordinates; ++i) to[i] = from[i] - moved[i];
            }
        }
        if (places > 1 && is_zero(clips.joints.data() + start + size, size)) present = 1;
        clips.joints.resize(start + present * size);
        clips.numbers.insert(clips.numbers.end(), present_.begin(), present_.end());
        clips.shapes.push_back(int32_t(present));
        clips.shapes.push_back(int32_t(frames));
        return true;
    }

    const float* pose(size_t number, size_t frame, size_t frames) const {
        return joints_.data() + (number * frames + frame) * kCoordinates;
    }

    Scratch& recording_;
    size_t origin_;
    std::vector<int32_t> present_;
    std::vector<size_t> order_, kept_;
    std::vector<float> values_, plausible_, joints_;
    std::vector<Body> bodies_;
    std::vector<Body*> left_;
    Actor actors_[2];
};

// ---------------------------------------------------------------------------------------------
// Files

struct Text {
    const char* start;
    size_t size;
};

// False where the file cannot be read, or is larger than any recording.
bool read_file(const char* path, std::vector<char>& content, Text& text) {
    std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path, "rb"), std::fclose);
    if (!file) return false;
    std::setvbuf(file.get(), nullptr, _IONBF, 0);  // read whole: a buffer would only copy
    if (content.empty()) content.resize(kFirstText);
    size_t size = 0;
    while (true) {
        size += std::fread(content.data() + size, 1, content.size() - size, file.get());
        if (size < content.size()) break;
        if (size > kLargest) return false;
        content.resize(2 * content.size());
    }
    text = {content.data(), size};
    return !std::ferror(file.get());
}

// ---------------------------------------------------------------------------------------------
// Python

// Either a text, or the path of a file that has it.
struct Source {
    Text text;
    bool is_path;
};

void prepare_all(const std::vector<Source>& sources, size_t origin, Clips& clips) {
    KeptScratch kept;
    Scratch& scratch = *kept;
    Preparation preparation(scratch, origin);
    for (const Source& source : sources) {
        Text text = source.text;
        const bool prepared = (!source.is_path || read_file(source.text.start, scratch.content, text)) &&
                              read_plain(text.start, text.size, scratch) &&
                              preparation.append_to(clips);
        if (!prepared) clips.shapes.insert(clips.shapes.end(), {0, 0});
    }
}

template <class Value>
PyObject* bytes_of(const std::vector<Value>& values) {
    return PyByteArray_FromStringAndSize(reinterpret_cast<const char*>(values.data()),
                                         Py_ssize_t(values.size() * sizeof(Value)));
}

// False, and an exception, where something is neither a text nor a path.
bool list_sources(PyObject* tuple, std::vector<Source>& sources) {
    for (Py_ssize_t i = 0; i < PyTuple_Size(tuple); ++i) {
        PyObject* item = PyTuple_GetItem(tuple, i);
        const bool is_path = PyTuple_Check(item);
        PyObject* bytes = is_path ? PyTuple_GetItem(item, 0) : item;
        char* start = nullptr;
        Py_ssize_t size = 0;
        if (!bytes || PyBytes_AsStringAndSize(bytes, &start, &size) < 0) return false;
        sources.push_back({{start, size_t(size)}, is_path});
    }
    return true;
}

PyObject* prepare(PyObject*, PyObject* arguments) {
    PyObject* tuple = nullptr;
    int origin = 0;
    if (!PyArg_ParseTuple(arguments, "O!i", &PyTuple_Type, &tuple, &origin)) return nullptr;
    if (origin < 0 || origin >= kJoints) {
        PyErr_SetString(PyExc_ValueError, "the origin is not one of the joints");
        return nullptr;
    }
    try {
        std::vector<Source> sources;
        if (!list_sources(tuple, sources)) return nullptr;
        Clips clips;
        bool enough = true;
        PyThreadState* state = PyEval_SaveThread();
        try {
            prepare_all(sources, size_t(origin), clips);
        } catch (const std::bad_alloc&) {
            enough = false;
        }
        PyEval_RestoreThread(state);
        if (!enough) return PyErr_NoMemory();
        return Py_BuildValue("(NNN)", bytes_of(clips.shapes), bytes_of(clips.joints),
                             bytes_of(clips.numbers));
    } catch (const std::bad_alloc&) {
        return PyErr_NoMemory();
    }
}

PyMethodDef methods[] = {
    {"prepare", prepare, METH_VARARGS,
     "prepare(sources, origin) -> (shapes, joints, frame numbers)\n\nOf texts, and of paths, each "
     "in a tuple."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef_Slot slots[] = {{0, nullptr}};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_ctrgcn", "CTR-GCN's preprocessing of NTU RGB+D files, compiled.",
    0, methods, slots, nullptr, nullptr, nullptr,
};

}  // namespace

PyMODINIT_FUNC PyInit__ctrgcn() { return PyModuleDef_Init(&definition); }
