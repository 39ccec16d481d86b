// A network as a list of steps over the activations of one body, and who carries it out.
//
// Python folds a checkpoint into steps once (skelab/inference/engines/native). A step reads and
// writes *tensors*: frames x joints x lanes, the channels innermost and a multiple of the vector's
// lanes. A body passes through all steps while its activations are in the cache; bodies are shared
// out to threads. What a thread needs to work with is its *workspace*, which is kept from call to
// call.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "gemm.h"

namespace skelab {

// What is known of a tensor before the clips are. Tensors that are not needed at the same time may
// have one slot of memory.
struct TensorSpec {
    int slot;
    int lanes;
    int stride;  // frames of the clip from one of its frames to the next
    int halo;    // frames of zeros before the first and after the last
};

inline long frames_at(long frames, int stride) { return (frames - 1) / stride + 1; }

// The clips as the caller has them: N C T V M, in that order in memory.
struct Clips {
    const float* start;
    long clips;
    int channels;
    long frames;
    int joints, bodies;

    const float* body(long row) const {
        return start + row / bodies * (channels * frames * joints * bodies) + row % bodies;
    }
};

// One body on its way through the steps.
template <class Number>
struct Body {
    const std::vector<TensorSpec>& specs;
    Number* const* tensors;  // the first frame of each
    float* scratch;          // what a step may write as it likes
    const Clips& clips;
    long row;  // which body of which clip: n * M + m
    float* out;

    long joints() const { return clips.joints; }
    long frames(int tensor) const { return frames_at(clips.frames, specs[tensor].stride); }
    int lanes(int tensor) const { return specs[tensor].lanes; }
    long frame_size(int tensor) const { return joints() * lanes(tensor); }
    Number* operator[](int tensor) const { return tensors[tensor]; }
};

template <class Number>
class Step {
public:
    virtual ~Step() = default;
    virtual void run(const Body<Number>& body) const = 0;
    // Floats of scratch for clips of so many joints and frames.
    virtual size_t scratch(long /*joints*/, long /*frames*/) const { return 0; }
};

template <class Number>
struct Workspace {
    AlignedArray<Number> slots;
    AlignedArray<float> scratch;
    std::vector<Number*> tensors;
    long frames = 0;  // of the clips that it was made for
};

class AnyProgram {
public:
    virtual ~AnyProgram() = default;
    virtual int outputs(long frames) const = 0;
    virtual int channels() const = 0;
    virtual int joints() const = 0;
    // Some bodies of the clips, `outputs` numbers each. Several threads may call it at once.
    virtual void run(const Clips& clips, const int32_t* rows, long count, float* out,
                     int threads) = 0;
};

template <class Number>
class Program : public AnyProgram {
public:
    Program(int channels, int joints, std::vector<TensorSpec> specs)
        : channels_(channels), joints_(joints), specs_(std::move(specs)) {
        if (channels < 1 || joints < 1) throw std::invalid_argument("program: no joints");
        for (const TensorSpec& spec : specs_)
            if (spec.slot < 0 || size_t(spec.slot) >= specs_.size() || spec.lanes < 1 ||
                spec.lanes % kLanes || spec.stride < 1 || spec.halo < 0)
                throw std::invalid_argument("program: a tensor that cannot be");
    }

    void add(std::unique_ptr<Step<Number>> step) { steps_.push_back(std::move(step)); }

    // The numbers that come out for a body: of each frame, or (`stride` 0) of all together.
    void set_output(int size, int stride) { output_size_ = size, output_stride_ = stride; }

    const TensorSpec& spec(int tensor) const {
        if (tensor < 0 || size_t(tensor) >= specs_.size())
            throw std::invalid_argument("program: no such tensor");
        return specs_[size_t(tensor)];
    }

    int channels() const override { return channels_; }
    int joints() const override { return joints_; }
    int outputs(long frames) const override {
        return output_stride_ ? int(frames_at(frames, output_stride_)) * output_size_ : output_size_;
    }

    void run(const Clips& clips, const int32_t* rows, long count, float* out,
             int threads) override {
        threads = int(std::max(1L, std::min(long(threads), count)));
        Lease lease(*this, threads, clips.frames);
        const long outputs = this->outputs(clips.frames);
        std::atomic<long> next{0};
        auto work = [&](Workspace<Number>& space) {
            for (long i; (i = next.fetch_add(1)) < count;) {
                const Body<Number> body{specs_, space.tensors.data(), space.scratch.data(), clips,
                                        rows[i], out + i * outputs};
                for (const auto& step : steps_) step->run(body);
            }
        };
        std::vector<std::thread> others;
        for (int i = 1; i < threads; ++i) {
            try {
                others.emplace_back(work, std::ref(*lease.spaces[size_t(i)]));
            } catch (const std::system_error&) {
                break;  // no more threads to be had: those that there are do all
            }
        }
        work(*lease.spaces[0]);
        for (std::thread& other : others) other.join();
    }

private:
    using Spaces = std::vector<std::unique_ptr<Workspace<Number>>>;

    // Workspaces for as long as a call lasts, one a thread.
    struct Lease {
        Lease(Program& owner, int count, long frames) : program(owner) {
            {
                std::lock_guard<std::mutex> lock(program.mutex_);
                while (int(spaces.size()) < count && !program.idle_.empty()) {
                    spaces.push_back(std::move(program.idle_.back()));
                    program.idle_.pop_back();
                }
            }
            while (int(spaces.size()) < count)
                spaces.push_back(std::make_unique<Workspace<Number>>());
            for (auto& space : spaces) program.fit(*space, frames);
        }
        ~Lease() {
            std::lock_guard<std::mutex> lock(program.mutex_);
            for (auto& space : spaces) program.idle_.push_back(std::move(space));
        }
        Program& program;
        Spaces spaces;
    };

    size_t size_of(const TensorSpec& spec, long frames) const {
        return size_t(frames_at(frames, spec.stride) + 2 * spec.halo) * joints_ * spec.lanes;
    }

    // Lay the tensors out for clips of so many frames; memory is taken only if there is too little.
    void fit(Workspace<Number>& space, long frames) const {
        if (space.frames == frames) return;
        space.frames = 0;  // unless all goes well
        std::vector<size_t> sizes(specs_.size() + 1, 0);  // of slots, then where they start
        for (const TensorSpec& spec : specs_) {
            const size_t size = (size_of(spec, frames) + kCacheLine) / kCacheLine * kCacheLine;
            sizes[size_t(spec.slot) + 1] = std::max(sizes[size_t(spec.slot) + 1], size);
        }
        for (size_t i = 1; i < sizes.size(); ++i) sizes[i] += sizes[i - 1];
        size_t scratch = 0;
        for (const auto& step : steps_) scratch = std::max(scratch, step->scratch(joints_, frames));
        if (space.slots.size() < sizes.back()) space.slots = AlignedArray<Number>(sizes.back());
        if (space.scratch.size() < scratch) space.scratch = AlignedArray<float>(scratch);
        space.tensors.clear();
        for (const TensorSpec& spec : specs_)
            space.tensors.push_back(space.slots.data() + sizes[size_t(spec.slot)] +
                                    size_t(spec.halo) * joints_ * spec.lanes);
        space.frames = frames;
    }

    int channels_, joints_, output_size_ = 0, output_stride_ = 0;
    std::vector<TensorSpec> specs_;
    std::vector<std::unique_ptr<Step<Number>>> steps_;
    std::mutex mutex_;
    Spaces idle_;
};

}  // namespace skelab
