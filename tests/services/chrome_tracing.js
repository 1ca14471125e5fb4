// The trace that chrome://tracing shows, in the words of its own model; "" until it is loaded.
(() => {
    const model = document.querySelector("tr-ui-timeline-view")?.model;
    if (!model) {
        return "";
    }
    const depth = (slice) => {
        let deep = 0;
        for (let parent = slice.parentSlice; parent; parent = parent.parentSlice) {
            deep += 1;
        }
        return deep;
    };
    const slice = (one) => ({
        name: one.title,
        category: one.category,
        start: one.start,
        duration: one.duration,
        depth: depth(one),
        open: Boolean(one.didNotFinish),
        args: one.args,
    });
    const counter = (one) => ({
        name: one.name,
        series: one.series.map((series) => [series.name, series.samples.map((s) => s.value)]),
    });
    return JSON.stringify({
        warnings: model.importWarnings.map((warning) => `${warning.type}: ${warning.message}`),
        threads: model.getAllThreads().map((thread) => ({
            name: thread.name,
            process: thread.parent.name,
            slices: thread.sliceGroup.slices.map(slice),
            asyncs: thread.asyncSliceGroup.slices.map((one) => one.title),
        })),
        counters: model.getAllProcesses().flatMap(
            (process) => Object.values(process.counters).map(counter)),
        flows: model.flowEvents.map((one) => one.title),
    });
})()
