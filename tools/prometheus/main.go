// prometheus-query asks Prometheus' own engine. It reads JSON, {"series": LINES, "queries": [EXPRESSION, ...]}, where the
// lines are as in promtool's unit tests, a sample a minute; and prints, for each expression, what it is after ten minutes.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
)

const (
	after    = 10 * time.Minute
	lookback = 5 * time.Minute
)

type request struct {
	Series  []string `json:"series"`
	Queries []string `json:"queries"`
}

type sample struct {
	Labels map[string]string `json:"labels"`
	Value  float64           `json:"value"`
}

// fatal is who the storage for tests reports to.
type fatal struct{}

func (fatal) Helper() {}

func (fatal) Errorf(format string, arguments ...any) { fmt.Fprintf(os.Stderr, format, arguments...) }

func (fatal) FailNow() { os.Exit(1) }

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	load := "load 1m\n"
	for _, line := range asked.Series {
		load += "  " + line + "\n"
	}
	storage := promqltest.LoadedStorage(fatal{}, load)
	defer storage.Close()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: time.Minute, LookbackDelta: lookback})
	answers := make([][]sample, 0, len(asked.Queries))
	for _, expression := range asked.Queries {
		query, err := engine.NewInstantQuery(context.Background(), storage, nil, expression, time.Unix(0, 0).Add(after))
		if err != nil {
			return fmt.Errorf("%s: %w", expression, err)
		}
		vector, err := query.Exec(context.Background()).Vector()
		if err != nil {
			return fmt.Errorf("%s: %w", expression, err)
		}
		answers = append(answers, samples(vector))
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

func samples(vector promql.Vector) []sample {
	found := make([]sample, 0, len(vector))
	for _, each := range vector {
		found = append(found, sample{Labels: each.Metric.Map(), Value: each.F})
	}
	return found
}
