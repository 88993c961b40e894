"""What runs say about a network: accuracy, activity, how soon it decides, how its order matters.

Shapes: B samples, N neurons, T time steps, C classes (output neurons, flat in C order),
S the largest number of forward steps that a sample took. Functions take one `Record`; those of
agreement (`agreement`, `first_difference`, `van_rossum_distance`) take two, `accuracy_by_schedule`
runs the network itself, `Totals` is for runs in parts, and `wilson_interval` and `over_seeds` say
how sure a number is.

Two notions of prediction, equal whenever an output neuron has fired:

* `predict`, at the end: the class with the most output spikes, the lowest class on a tie,
  class 0 without any spike, just as ``lava.lib.dl.slayer.classifier.Rate`` decides;
* in the course of the forward steps: after *j* forward steps, cumulated over the time steps,
  the same rule applied to the output spikes fired by then. Before the first of them there
  is no prediction, and that counts as wrong.

The same holds after *j* whole time steps, where latencies are asked for in ``"time_steps"``.

Delivering an input frame is not a forward step: what it makes fire at once counts with the
forward steps of the time steps before it. Where the graph delays its output, all counts are of
the firing.

Where no voltage reaches the threshold of the output population, its voltage is the readout that
decides, in place of the spikes: at the end the class with the largest sum over the time steps, the
lowest class on a tie; in the course of the forward steps the same rule applied to the time steps
that have ended, and before the first of them with a readout other than 0 there is no prediction.

Where `Graph.decoding` has groups, these are the classes, and all counts and sums are over a group.
"""

from lava_async.metrics._activity import spike_density as spike_density
from lava_async.metrics._activity import spikes_per_population as spikes_per_population
from lava_async.metrics._activity import spikes_per_sample as spikes_per_sample
from lava_async.metrics._activity import synops_per_sample as synops_per_sample
from lava_async.metrics._agreement import SpikeDifference as SpikeDifference
from lava_async.metrics._agreement import agreement as agreement
from lava_async.metrics._agreement import first_difference as first_difference
from lava_async.metrics._agreement import van_rossum_distance as van_rossum_distance
from lava_async.metrics._by_schedule import AccuracyBySchedule as AccuracyBySchedule
from lava_async.metrics._by_schedule import ScheduleAccuracy as ScheduleAccuracy
from lava_async.metrics._by_schedule import accuracy_by_schedule as accuracy_by_schedule
from lava_async.metrics._decisions import Unit as Unit
from lava_async.metrics._decisions import accuracy as accuracy
from lava_async.metrics._decisions import accuracy_curve as accuracy_curve
from lava_async.metrics._decisions import confusion_matrix as confusion_matrix
from lava_async.metrics._decisions import decision_latency as decision_latency
from lava_async.metrics._decisions import first_correct_latency as first_correct_latency
from lava_async.metrics._decisions import predict as predict
from lava_async.metrics._evaluation import Evaluation as Evaluation
from lava_async.metrics._evaluation import Totals as Totals
from lava_async.metrics._evaluation import evaluate as evaluate
from lava_async.metrics._statistics import Interval as Interval
from lava_async.metrics._statistics import Spread as Spread
from lava_async.metrics._statistics import over_seeds as over_seeds
from lava_async.metrics._statistics import wilson_interval as wilson_interval
