-- wrk's results as one JSON object on the last line; times in microseconds.
done = function(summary, latency, requests)
	local e = summary.errors
	io.write(string.format(
		'\n{"requests":%d,"duration_us":%d,"bytes":%d,"errors_connect":%d,"errors_read":%d,' ..
		'"errors_write":%d,"errors_status":%d,"errors_timeout":%d,' ..
		'"p50_us":%d,"p99_us":%d,"p999_us":%d,"max_us":%d}\n',
		summary.requests, summary.duration, summary.bytes, e.connect, e.read, e.write,
		e.status, e.timeout, latency:percentile(50), latency:percentile(99),
		latency:percentile(99.9), latency.max))
end
