// From the description of a program, numbers and arrays, to the program.
#pragma once

#include <functional>
#include <map>

#include "channel_graph.h"
#include "graph.h"
#include "steps.h"

namespace skelab {

// An array of the caller's, read while a program is made.
struct ArrayView {
    const float* start;
    size_t size;
};

struct StepDescription {
    std::string name;
    std::vector<int> numbers;
    std::vector<ArrayView> arrays;
};

// The numbers and arrays of a step, read one after the other; it is an error to want too many.
class Reader {
public:
    explicit Reader(const StepDescription& step) : step_(step) {}

    int number() {
        if (number_ == step_.numbers.size()) fail("too few numbers");
        return step_.numbers[number_++];
    }

    ArrayView view() {
        if (array_ == step_.arrays.size()) fail("too few arrays");
        return step_.arrays[array_++];
    }

    template <class Number = float>
    AlignedArray<Number> array() {
        const ArrayView from = view();
        AlignedArray<Number> to(from.size);
        for (size_t i = 0; i < from.size; ++i) to[i] = rounded<Number>(from.start[i]);
        return to;
    }

    template <class Number>
    Weights<Number> weights(int taps, int depth, int columns) {
        const ArrayView from = view();
        check(from, taps, depth, columns, 1);
        return Weights<Number>(from.start, taps, depth, columns);
    }

    // `count` matrices in one array.
    template <class Number>
    std::vector<Weights<Number>> several(int count, int depth, int columns) {
        const ArrayView from = view();
        check(from, 1, depth, columns, count);
        std::vector<Weights<Number>> matrices;
        for (int i = 0; i < count; ++i)
            matrices.emplace_back(from.start + long(i) * depth * columns, 1, depth, columns);
        return matrices;
    }

    // `count` matrices in one array, each cut into panels: of the first panel all, then the next.
    template <class Number>
    std::vector<Weights<Number>> panels(int count, int depth, int columns, int widest) {
        const ArrayView from = view();
        check(from, 1, depth, columns, count);
        std::vector<Weights<Number>> matrices;
        for (int n = 0; n < columns; n += widest)
            for (int i = 0; i < count; ++i)
                matrices.emplace_back(from.start + long(i) * depth * columns + n, 1, depth,
                                      std::min(widest, columns - n), columns);
        return matrices;
    }

    Part part() {
        const int tensor = number();
        return {tensor, number()};
    }

    Epilogue epilogue() {
        const Part residual = part();
        return {residual, number() != 0};
    }

    Affine affine() {
        AlignedArray<float> factor = array();
        return {std::move(factor), array()};
    }

    void finish() const {
        if (number_ != step_.numbers.size() || array_ != step_.arrays.size())
            fail("too many numbers or arrays");
    }

private:
    [[noreturn]] void fail(const char* why) const {
        throw std::invalid_argument(step_.name + ": " + why);
    }

    void check(ArrayView from, int taps, int depth, int columns, int count) const {
        const bool fits = taps > 0 && depth > 0 && columns > 0 && count > 0 &&
                          columns % kLanes == 0 &&
                          from.size == size_t(taps) * size_t(depth) * size_t(columns) * size_t(count);
        if (!fits) fail("a matrix of another size than was said");
    }

    const StepDescription& step_;
    size_t number_ = 0, array_ = 0;
};

template <class Number>
using StepPointer = std::unique_ptr<Step<Number>>;

template <class Number>
StepPointer<Number> make_convolution(Program<Number>& program, Reader& read) {
    const Part from = read.part(), to = read.part();
    const int taps = read.number(), depth = read.number(), columns = read.number();
    const int dilation = read.number();
    const Epilogue epilogue = read.epilogue();
    Weights<Number> weights = read.weights<Number>(taps, depth, columns);
    return std::make_unique<Convolution<Number>>(program, from, to, dilation, epilogue,
                                                 std::move(weights), read.array());
}

template <class Number>
StepPointer<Number> make_maximum(Program<Number>& program, Reader& read) {
    const Part from = read.part(), to = read.part();
    const Epilogue epilogue = read.epilogue();
    return std::make_unique<MaxOverTime<Number>>(program, from, to, epilogue, read.affine());
}

template <class Number>
StepPointer<Number> make_channel_graph(Program<Number>& program, Reader& read) {
    const int from = read.number(), to = read.number(), depth = read.number();
    const int subsets = read.number(), relation = read.number(), related = read.number();
    const bool identity = read.number() != 0, projects = read.number() != 0;
    const int vectors = program.spec(to).lanes / kLanes;
    const int lanes = (subsets + projects) * kLanes;
    ChannelGraphWeights<Number> w;
    w.relations = read.weights<float>(1, depth, related);
    w.relation_bias = read.array();
    w.values = read.several<Number>(vectors, depth, lanes);
    w.value_bias = read.array();
    w.refine = read.panels<float>(subsets, relation + 1, vectors * kLanes, kTogether * kLanes);
    w.refine_bias = read.array();
    w.topology = read.array();
    w.bias = read.array();
    return std::make_unique<ChannelGraph<Number>>(program, from, to, subsets, relation, identity,
                                                  std::move(w));
}

template <class Number>
GraphWeights<Number> read_graph(Reader& read) {
    GraphWeights<Number> w;
    const int depth = read.number(), columns = read.number();
    w.columns = columns;
    w.window = read.number();
    w.scales = read.number();
    w.mixes_first = read.number() != 0;
    w.topology = read.array<Number>();
    const int panel = w.mixes_first ? columns : panel_vectors(columns / kLanes) * kLanes;
    w.transforms = read.panels<Number>(w.scales, depth, columns, panel);
    w.bias = read.array();
    return w;
}

template <class Number>
StepPointer<Number> make_frame_graph(Program<Number>& program, Reader& read) {
    const int from = read.number(), to = read.number();
    const Epilogue epilogue = read.epilogue();
    return std::make_unique<FrameGraph<Number>>(program, from, to, epilogue,
                                                read_graph<Number>(read));
}

template <class Number>
StepPointer<Number> make_window_graph(Program<Number>& program, Reader& read) {
    const int from = read.number(), to = read.number(), depth = read.number();
    const bool rectify = read.number() != 0;
    GraphWeights<Number> graph = read_graph<Number>(read);
    const int lanes = program.spec(to).lanes;
    Weights<Number> collapse = read.weights<Number>(1, depth, lanes);
    return std::make_unique<WindowGraph<Number>>(program, from, to, rectify, std::move(graph),
                                                 std::move(collapse), read.array());
}

template <class Number>
StepPointer<Number> make_input(Program<Number>& program, Reader& read) {
    const int tensor = read.number();
    return std::make_unique<Input<Number>>(program, tensor, read.affine());
}

// Steps that have one number, a tensor.
template <template <class> class Made, class Number>
StepPointer<Number> make_plain(Program<Number>& program, Reader& read) {
    return std::make_unique<Made<Number>>(program, read.number());
}

template <class Number>
std::unique_ptr<AnyProgram> assemble(int channels, int joints, const std::vector<TensorSpec>& specs,
                                     const std::vector<StepDescription>& steps) {
    using Make = StepPointer<Number> (*)(Program<Number>&, Reader&);
    static const std::map<std::string, Make> kMakers = {
        {"input", make_input<Number>},
        {"clear halo", make_plain<ClearHalo, Number>},
        {"convolution", make_convolution<Number>},
        {"maximum", make_maximum<Number>},
        {"channel graph", make_channel_graph<Number>},
        {"frame graph", make_frame_graph<Number>},
        {"window graph", make_window_graph<Number>},
        {"mean", make_plain<Mean, Number>},
        {"rows", make_plain<Rows, Number>},
    };
    auto program = std::make_unique<Program<Number>>(channels, joints, specs);
    for (const StepDescription& step : steps) {
        const auto maker = kMakers.find(step.name);
        if (maker == kMakers.end()) throw std::invalid_argument("no step is called " + step.name);
        Reader read(step);
        program->add(maker->second(*program, read));
        read.finish();
    }
    return program;
}

}  // namespace skelab
