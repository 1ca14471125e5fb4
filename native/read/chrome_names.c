/* The names that the Performance panel of Chrome's DevTools takes for its own markers, whatever
 * their category: it refuses a file whose row of such a name lacks what a marker has. */
#include "read/chrome_names.h"

#include <stdlib.h>
#include <string.h>

#include "read/json.h"

/* In the order of their bytes. */
static const char *const markers[] = {
    "AbortPostTaskCallback",
    "ActivateLayerTree",
    "Animation",
    "AnimationFrame",
    "AnimationFrame::Presentation",
    "AsyncTask",
    "AuctionWorkletDoneWithProcess",
    "AuctionWorkletRunningInProcess",
    "BeginCommitCompositorFrame",
    "BeginFrame",
    "BeginMainThreadFrame",
    "BeginRemoteFontLoad",
    "BlinkGC.AtomicPhase",
    "CPUProfile",
    "CancelAnimationFrame",
    "CancelIdleCallback",
    "Commit",
    "CommitLoad",
    "CompositeLayers",
    "ComputeIntersections",
    "ConsoleTime",
    "CppGC.IncrementalSweep",
    "CpuProfile",
    "CpuProfiler::StartProfiling",
    "DOMStats",
    "Decode Image",
    "Decode LazyPixelRef",
    "DoDecrypt",
    "DoDecryptReply",
    "DoDigest",
    "DoDigestReply",
    "DoEncrypt",
    "DoEncryptReply",
    "DoSign",
    "DoSignReply",
    "DoVerify",
    "DoVerifyReply",
    "Draw LazyPixelRef",
    "DrawFrame",
    "DroppedFrame",
    "EmbedderCallback",
    "EvaluateScript",
    "EventDispatch",
    "EventTiming",
    "FireAnimationFrame",
    "FireIdleCallback",
    "FrameCommittedInBrowser",
    "FrameStartedLoading",
    "FunctionCall",
    "GCEvent",
    "GPUTask",
    "HandlePostMessage",
    "HitTest",
    "ImageDecodeTask",
    "ImageUploadTask",
    "InputHandlerProxy::HandleGestureFling::started",
    "InputLatency::MouseMove",
    "InputLatency::MouseWheel",
    "InteractiveTime",
    "InvalidateLayout",
    "JSSample",
    "JitCodeAdded",
    "JitCodeMoved",
    "LargeScriptCatchup",
    "LargestImagePaint::Candidate",
    "LargestTextPaint::Candidate",
    "Layerize",
    "Layout",
    "LayoutImageUnsized",
    "LayoutInvalidationTracking",
    "LayoutShift",
    "LazyPixelRef",
    "LinkPreconnect",
    "MajorGC",
    "MarkDOMContent",
    "MarkLoad",
    "MetaCharsetCheck",
    "MinorGC",
    "NeedsBeginFrameChanged",
    "Paint",
    "PaintImage",
    "PaintSetup",
    "PaintTimingVisualizer::Viewport",
    "ParseAuthorStyleSheet",
    "ParseHTML",
    "ParseMetaViewport",
    "PipelineReporter",
    "PrePaint",
    "PreloadRenderBlockingStatusChange",
    "Profile",
    "ProfileCall",
    "ProfileChunk",
    "Program",
    "RasterTask",
    "Rasterize",
    "RemoteFontLoaded",
    "RenderFrameHostImpl::DidCommitSameDocumentNavigation",
    "RenderFrameImpl::createChildFrame",
    "RequestAnimationFrame",
    "RequestIdleCallback",
    "RequestMainThreadFrame",
    "ResourceChangePriority",
    "ResourceFinish",
    "ResourceMarkAsCached",
    "ResourceReceiveResponse",
    "ResourceReceivedData",
    "ResourceSendRequest",
    "ResourceWillSendRequest",
    "RunMicrotasks",
    "RunPostTaskCallback",
    "RunTask",
    "SchedulePostMessage",
    "SchedulePostTaskCallback",
    "ScheduleStyleInvalidationTracking",
    "ScheduleStyleRecalculation",
    "Screenshot",
    "ScriptCatchup",
    "ScrollLayer",
    "SelectorStats",
    "SetLayerTreeId",
    "SoftNavigationStart",
    "StyleInvalidatorInvalidationTracking",
    "StyleRecalcInvalidationTracking",
    "SyntheticLayoutShift",
    "SyntheticLayoutShiftCluster",
    "SyntheticNetworkRequest",
    "SyntheticSoftFirstContentfulPaint",
    "SyntheticWebSocketConnection",
    "TimeStamp",
    "TimerFire",
    "TimerInstall",
    "TimerRemove",
    "TracingSessionIdForWorker",
    "TracingStartedInBrowser",
    "TracingStartedInPage",
    "UpdateCounters",
    "UpdateLayer",
    "UpdateLayerTree",
    "UpdateLayoutTree",
    "UserTiming",
    "UserTiming::Measure",
    "V8.CompileCode",
    "V8.CompileModule",
    "V8.CompileScript",
    "V8.Execute",
    "V8.FinalizeDeserialization",
    "V8.OptimizeCode",
    "V8Console::runTask",
    "V8Sample",
    "WebSocketCreate",
    "WebSocketDestroy",
    "WebSocketReceive",
    "WebSocketReceiveHandshakeResponse",
    "WebSocketSend",
    "WebSocketSendHandshakeRequest",
    "XHRLoad",
    "XHRReadyStateChange",
    "cc::DisplayItemList",
    "cc::DisplayItemList:snapshot",
    "cc::LayerTreeHostImpl",
    "cc::Picture",
    "domLoading",
    "firstContentfulPaint",
    "firstPaint",
    "largestContentfulPaint::Candidate",
    "largestContentfulPaint::CandidateForSoftNavigation",
    "largestContentfulPaint::Invalidate",
    "navigationStart",
    "v8.compile",
    "v8.deserializeOnBackground",
    "v8.evaluateModule",
    "v8.parseOnBackground",
    "v8.parseOnBackgroundParsing",
    "v8.parseOnBackgroundWaiting",
    "v8.produceCache",
    "v8.produceModuleCache",
    "v8.wasm.cachedModule",
    "v8.wasm.compiledModule",
    "v8.wasm.moduleCacheHit",
    "v8.wasm.moduleCacheInvalid",
    "v8.wasm.streamFromResponseCallback",
    "v8::Debugger::AsyncTaskRun",
    "v8::Debugger::AsyncTaskScheduled",
};

static int compare(const void *key, const void *element) {
    const struct otrace_text *name = key;
    const char *marker = *(const char *const *)element;
    size_t size = strlen(marker);
    int order = memcmp(name->text, marker, name->size < size ? name->size : size);
    return order != 0 ? order : (name->size > size) - (name->size < size);
}

static bool is_marker(struct otrace_text name) {
    return name.size > 0 && bsearch(&name, markers, sizeof markers / sizeof *markers,
                                    sizeof *markers, compare) != NULL;
}

size_t otrace_chrome_name_room(struct otrace_text name, const char *category) {
    return name.size * OTRACE_JSON_GROWTH + 2 * strlen(category) + 32;
}

char *otrace_chrome_write_name(char *to, struct otrace_text name, const char *category) {
    size_t size = strlen(category);
    to = WRITE(to, ",\"name\":\"");
    to = otrace_write_json(to, name.text, name.size);
    if (is_marker(name)) {
        to = WRITE(to, " (");
        to = otrace_write_bytes(to, category, size);
        *to++ = ')';
    }
    to = WRITE(to, "\",\"cat\":\"");
    to = otrace_write_bytes(to, category, size);
    *to++ = '"';
    return to;
}

void otrace_chrome_append_name(struct otrace_output *output, struct otrace_text name,
                               const char *category) {
    char *to = otrace_output_reserve(output, otrace_chrome_name_room(name, category));
    if (to != NULL) {
        otrace_output_commit(output, otrace_chrome_write_name(to, name, category));
    }
}
